"""Every refusal and failure that a client can see: its status, type, code and public text.

`public` leaves the house, `detail` goes to the log only. The shape of the body belongs to the dialect.
"""

from collections.abc import Mapping
from typing import Any


class GatewayError(Exception):
    """One answer that is not the upstream's.

    `param` names the request member at fault; `gateway` is the extra object of the error body;
    `retry_after_ms` is set where time heals; `should_retry=False` where retrying cannot help.
    """

    status = 500
    type = "api_error"
    code = "internal_error"

    def __init__(
        self,
        public: str,
        *,
        code: str | None = None,
        status: int | None = None,
        type: str | None = None,
        param: str | None = None,
        detail: str = "",
        gateway: Mapping[str, Any] | None = None,
        retry_after_ms: int | None = None,
        should_retry: bool | None = None,
    ) -> None:
        super().__init__(public)
        self.public = public
        if code is not None:
            self.code = code
        if status is not None:
            self.status = status
        if type is not None:
            self.type = type
        self.param = param
        self.detail = detail
        self.gateway = gateway
        self.retry_after_ms = retry_after_ms
        self.should_retry = should_retry


class Denied(GatewayError):
    """Policy said no."""

    status = 403
    type = "permission_error"
    code = "denied"


class Unauthenticated(Denied):
    """missing_api_key, invalid_api_key, key_expired, key_inactive, key_revoked."""

    status = 401
    type = "invalid_request_error"
    code = "invalid_api_key"


class Forbidden(Denied):
    """ip_not_allowed, provider_not_allowed, endpoint_not_allowed."""


class ModelForbidden(Denied):
    """model_not_found (outside the scope), model_unpriced, cost_unbounded."""

    type = "invalid_request_error"
    code = "model_not_found"


class ModelUnknown(Denied):
    """No such model."""

    status = 404
    type = "invalid_request_error"
    code = "model_not_found"


class RateLimited(Denied):
    """A bucket or the parallel slots are exhausted; `type` is `requests` or `tokens`."""

    status = 429
    type = "requests"
    code = "rate_limit_exceeded"


class BudgetExceeded(Denied):
    """The hard cap would be passed. SDKs retry 429, and retrying cannot help."""

    status = 429
    type = "insufficient_quota"
    code = "insufficient_quota"


class BadExchange(GatewayError):
    """The request itself is wrong: 400, 404, 405, 408, 413, 415."""

    status = 400
    type = "invalid_request_error"
    code = "invalid_request"


class UpstreamFailed(GatewayError):
    """upstream_unavailable 503, upstream_timeout 504, upstream_auth_failed 502, upstream_broken 502."""

    status = 502
    code = "upstream_broken"


class Unavailable(GatewayError):
    """budget_unverifiable, store_stale, overloaded: ours to mend, the client may come back."""

    status = 503
    code = "overloaded"


class NotRemembered(Unavailable):
    """Not in memory, perhaps in the store: the caller looks there and asks again."""

    def __init__(self, ids: tuple[str, ...]) -> None:
        super().__init__("The stored ids of this request could not be looked up.", retry_after_ms=1000)
        self.ids = ids
