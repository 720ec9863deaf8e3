"""One provider as the relay reaches it: its dialect, its credential, its warm connections."""

import asyncio

from gateway_proxy.config import Provider
from gateway_proxy.core.dialect import Dialect
from gateway_proxy.proxy.upstream import Origin, Timeouts, UpstreamPool, proxy_for

MAX_STARTS = 1024
CLOSE_SECONDS = 600.0


class ProviderLink:
    """Built once per provider and configuration; survives reloads that do not touch the provider."""

    def __init__(self, provider: Provider, dialect: Dialect) -> None:
        self.name = provider.name
        self.dialect = dialect
        self.identity = identify_provider(provider)
        origin = self.origin = Origin.from_url(provider.base_url)
        timeouts = provider.timeouts
        self._proxy = proxy_for(origin)
        self.pool = UpstreamPool(
            origin,
            Timeouts(timeouts.connect, timeouts.first_byte, timeouts.between_bytes),
            http_proxy=self._proxy,
        )
        # api.openai.com deprecates `max_tokens`; the compatible servers know it better than its successor.
        self.modern_cap_field = origin.host == "api.openai.com" or origin.host.endswith(".openai.azure.com")
        base = provider.base_url.split("://", 1)[1].partition("/")[2].rstrip("/")
        if provider.dialect == "azure":
            base = base.removesuffix("openai").rstrip("/")  # its paths bring that
        self._base_path = f"/{base}" if base else ""
        api_key = None if provider.api_key is None else provider.api_key.reveal()
        lines = [f"host: {origin.host_header.decode()}", "accept-encoding: identity"]
        lines += [f"{name}: {value}" for name, value in dialect.upstream_headers(api_key)]
        self._fixed = ("\r\n".join(lines) + "\r\n").encode("latin-1") + self.pool.proxy_head_lines
        self._starts: dict[tuple[str, str], bytes] = {}
        self._target_prefix = self.pool.request_target_prefix.decode("ascii")

    def encode_head(self, path: str, content_type: str, length: int, upward: bytes) -> bytes:
        """The request head; the target is built from configuration, never from the client's URL."""
        start = self._starts.get((path, content_type))
        if start is None:
            target = f"{self._target_prefix}{self._base_path}{path}"
            start = (
                f"POST {target} HTTP/1.1\r\ncontent-type: {content_type}\r\n".encode("latin-1") + self._fixed
            )
            if content_type == "application/json":  # a multipart boundary is new each time
                if len(self._starts) >= MAX_STARTS:  # paths may name models, and models are without number
                    self._starts.clear()
                self._starts[path, content_type] = start
        return b"%bcontent-length: %d\r\n%b\r\n" % (start, length, upward)

    def encode_bare_head(self, method: str, path: str, upward: bytes) -> bytes:
        """The head of a request without a body; its path names a single thing, so it is not remembered."""
        target = f"{self._target_prefix}{self._base_path}{path}"
        length = "content-length: 0\r\n" if method == "POST" else ""
        start = f"{method} {target} HTTP/1.1\r\n{length}".encode("latin-1")
        return b"%b%b%b\r\n" % (start, self._fixed, upward)

    async def close(self) -> None:
        await self.pool.close()

    async def close_when_idle(self) -> None:
        """For a link that no new request takes: wait for those that run, at most ten minutes."""
        for _ in range(int(CLOSE_SECONDS)):
            if not self.pool.stats().in_use:
                break
            await asyncio.sleep(1)
        await self.close()


def identify_provider(provider: Provider) -> tuple[object, ...]:
    """What makes two configurations of a provider the same connection."""
    timeouts = provider.timeouts
    secret = None if provider.api_key is None else provider.api_key.reveal()
    return (
        provider.name, provider.dialect, provider.base_url, provider.api_version, secret, provider.allow_stateful,
        timeouts.connect, timeouts.first_byte, timeouts.between_bytes,
    )  # fmt: skip
