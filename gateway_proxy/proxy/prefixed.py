"""A request that reached us through a foreign aiohttp application, as if it had come to our own address.

The path loses the prefix that we are mounted at, a body that somebody has read already can be read again, and an
answer of ours can be handled by foreign middlewares like any other. Leans on aiohttp's inside, as `edge` does.
"""

from aiohttp import web
from yarl import URL

from gateway_proxy.core.errors import BadExchange
from gateway_proxy.proxy.answers import BaseAnswer


class ReadBody:
    """A body that is here already, as a request's `content`."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def is_eof(self) -> bool:
        return True

    def read_nowait(self, _: int = -1) -> bytes:
        data, self._data = self._data, b""
        return data

    async def readany(self) -> bytes:
        return self.read_nowait()


def strip_prefix(request: web.Request, prefix: str) -> web.Request:
    """A request for what lies below `prefix`, which has no final slash.

    Raises BadExchange for a target that only means the prefix, but is not written like it.
    """
    target = request.raw_path
    if not target.startswith(f"{prefix}/"):
        raise BadExchange("The request path is not in its plain form.", code="invalid_target")
    # Everything in it is the client's: nothing may be normalised on the way.
    url = URL(target[len(prefix) :], encoded=True)
    body = request._read_bytes
    if body is None:
        stripped = request.clone(rel_url=url)
    else:
        request._read_bytes = None  # clone() would refuse
        try:
            stripped = request.clone(rel_url=url)
        finally:
            request._read_bytes = body
        stripped._payload = ReadBody(body)  # type: ignore[assignment]
    stripped._message = stripped._message._replace(path=target[len(prefix) :])
    return stripped


def adopt(answer: BaseAnswer) -> BaseAnswer:
    """The same answer, with all that foreign middlewares expect to find in one that has not begun."""
    if not answer.is_started:
        answer._state = {}
        answer._headers = answer.headers
        answer._reason = answer.reason
    return answer
