"""The admin API of a gateway elsewhere, over HTTP. The token goes nowhere else: no redirect is followed, and plain HTTP
is for this machine only."""

import ipaddress
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import SplitResult, urlsplit

import aiohttp
import orjson

from gateway_proxy.admin.problem import Conflict, Invalid, NotAllowed, NotFound, Problem, SignInNeeded, Stale
from gateway_proxy.cli.refusal import Refusal
from gateway_proxy.cli.target import query_pairs
from gateway_proxy.keys.fields import FieldError

_API = "/api/v1"
_TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=10)
_PROBLEMS: dict[int, type[Problem]] = {
    401: SignInNeeded,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    412: Stale,
}


class RemoteApi:
    """The same interface as `LocalApi`."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._session = session
        self._base = base

    async def send(
        self,
        method: str,
        path: str,
        document: object = None,
        *,
        query: Mapping[str, object] | None = None,
        revision: int | None = None,
    ) -> Any:
        try:
            async with self._session.request(
                method, self._base + path,
                params=query_pairs(query),
                data=None if document is None else orjson.dumps(document),
                headers=_headers(document, revision),
                allow_redirects=False,
            ) as response:  # fmt: skip
                content = await response.read()
        except aiohttp.ClientConnectorCertificateError as error:
            raise Refusal(
                f"{self._base}: its certificate is not trusted ({error.certificate_error})"
            ) from None
        except (aiohttp.ClientError, ssl.SSLError, OSError) as error:
            raise Refusal(f"{self._base} cannot be reached ({_reason(error)})") from None
        return self._read(response.status, content)

    def _read(self, status: int, content: bytes) -> Any:
        if status == 204:
            return None
        try:
            body = orjson.loads(content)
        except orjson.JSONDecodeError:
            body = None
        if 200 <= status < 300 and body is not None:
            return body
        if isinstance(body, dict) and isinstance(body.get("detail"), str) and "code" in body:
            raise _problem(status, body)
        raise Refusal(
            f"{self._base} does not answer as the admin API of gateway-proxy does (status {status})"
        )


@asynccontextmanager
async def open_remote(url: str, token: str) -> AsyncIterator[RemoteApi]:
    """The API at this address, with or without /api/v1. Raises Refusal."""
    parts = _judge(url)
    path = parts.path.rstrip("/").removesuffix(_API)
    base = f"{parts.scheme}://{parts.netloc}{path}{_API}"
    headers = {"Authorization": f"Bearer {token}"}
    trust_env = not is_loopback(parts.hostname or "")  # a proxy of the environment is for other machines
    async with aiohttp.ClientSession(headers=headers, timeout=_TIMEOUT, trust_env=trust_env) as session:
        yield RemoteApi(session, base)


def is_loopback(host: str) -> bool:
    """Whether the name can only be this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _judge(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = SplitResult("", "", "", "", ""), ""
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise Refusal("--url: is not an address; write for example https://gateway.example.com")
    if parts.username is not None or parts.password is not None:
        raise Refusal("--url: must hold no user or password; the token goes into --token")
    if parts.scheme == "http" and not is_loopback(host):
        raise Refusal(f"--url: plain http would show the token to others on the way to {host}; use https")
    return parts


def _headers(document: object, revision: int | None) -> dict[str, str]:
    headers = {} if document is None else {"Content-Type": "application/json"}
    return headers if revision is None else headers | {"If-Match": f'"{revision}"'}


def _problem(status: int, body: Mapping[str, Any]) -> Problem:
    errors = body.get("errors")
    if status == 422 and isinstance(errors, list) and errors:
        return Invalid([FieldError(str(e.get("path", "")), str(e.get("message", ""))) for e in errors])
    told = str(body["code"])
    return _PROBLEMS.get(status, Problem)(body["detail"], code=told)


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    cause = getattr(error, "os_error", None) or error
    return str(getattr(cause, "strerror", None) or type(cause).__name__)
