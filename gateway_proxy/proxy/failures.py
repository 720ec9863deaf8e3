"""What the client is told about an upstream that failed, or about an exchange that was ended from outside."""

from gateway_proxy.core.errors import GatewayError, Unauthenticated, Unavailable, UpstreamFailed
from gateway_proxy.core.exchange import Outcome
from gateway_proxy.proxy.run import Cut
from gateway_proxy.proxy.upstream import ConnectFailed, PoolExhausted, UpstreamError, UpstreamTimeout

CUT_OUTCOMES = {
    Cut.CLIENT_GONE: Outcome.CLIENT_GONE,
    Cut.REVOKED: Outcome.REVOKED,
    Cut.SHUTDOWN: Outcome.FAILED,
    Cut.CANCELLED: Outcome.CLIENT_GONE,
}


def describe_failure(error: UpstreamError, provider: str) -> GatewayError:
    """503, 504 or 502, with the technical reason for the log only."""
    detail = str(error)
    if isinstance(error, PoolExhausted):
        public = f"The provider '{provider}' is busy: all connections to it are in use."
        return Unavailable(public, detail=detail, retry_after_ms=1000)
    if isinstance(error, UpstreamTimeout) or (isinstance(error, ConnectFailed) and error.timed_out):
        public = f"The provider '{provider}' did not answer in time."
        return UpstreamFailed(public, code="upstream_timeout", status=504, detail=detail)
    if isinstance(error, ConnectFailed):
        public = f"The provider '{provider}' cannot be reached."
        return UpstreamFailed(
            public, code="upstream_unavailable", status=503, detail=detail, retry_after_ms=1000
        )
    return UpstreamFailed(
        f"The provider '{provider}' broke off its answer.", code="upstream_broken", detail=detail
    )


def cut_error(cut: Cut) -> GatewayError:
    """The answer to an exchange that was ended from outside; nobody reads it where the client has left."""
    if cut is Cut.REVOKED:
        return Unauthenticated("This API key was revoked while the request ran.", code="key_revoked")
    if cut is Cut.CLIENT_GONE:
        return GatewayError("The client left.", code="client_gone", status=499)
    if cut is Cut.CANCELLED:
        return GatewayError("The client cancelled the request.", code="cancelled", status=499)
    return Unavailable("The gateway is shutting down.", retry_after_ms=1000)
