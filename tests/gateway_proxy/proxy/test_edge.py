"""The edge: request lines and heads in their plain form only."""

import asyncio
from typing import Any

import pytest
from aiohttp import HttpVersion, HttpVersion10, HttpVersion11, StreamReader
from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.test_utils import make_mocked_request
from aiohttp.web import BaseRequest
from multidict import CIMultiDict

from gateway_proxy.core.errors import BadExchange
from gateway_proxy.proxy.edge import check_request_line


def request(
    target: str = "/v1/models",
    version: HttpVersion = HttpVersion11,
    method: str = "GET",
    payload: Any = EMPTY_PAYLOAD,
    **message: Any,
) -> BaseRequest:
    made = make_mocked_request(method, "/", version=version, payload=payload)
    made._message = made._message._replace(path=target, version=version, **message)
    return made


def code(made: BaseRequest) -> str:
    try:
        check_request_line(made)
    except BadExchange as error:
        return error.code if error.status == 400 else str(error.status)
    return ""


@pytest.mark.parametrize(
    "target",
    [
        "/v1/models",
        "/v1/models/gpt-4o",
        "/v1/models/a%20b",
        "/v1/models?key=../%2e%2e;//",
        "/",
        "/a.b/..c",
        "/~_-",
    ],
)
def test_plain_targets(target: str) -> None:
    assert code(request(target)) == ""


@pytest.mark.parametrize(
    "target",
    ["", "*", "v1", "http://a/v1", "//v1", "/v1//a", "/v1/.", "/./v1", "/v1/../a", "/..", "/v1/%2e", "/v1/%2E%2e", "/a%2Fb", "/a%5cb", "/a%00", "/a%2561",
     "/a\\b", "/a;b", "/a#b", "/a?b#c", "/\x7f", "/a b\n", "/\u00e9", "/\udcff"],
)  # fmt: skip
def test_other_targets(target: str) -> None:
    assert code(request(target)) == "invalid_target"


def test_versions() -> None:
    assert code(request(version=HttpVersion10)) == ""
    for version in (HttpVersion(0, 9), HttpVersion(2, 0), HttpVersion(1, 2)):
        assert code(request(version=version)) == "unsupported_http_version"


async def test_bodies_where_none_belong() -> None:
    loop = asyncio.get_running_loop()
    payload = StreamReader(BaseProtocol(loop), 2**16, loop=loop)
    assert code(request(method="POST", payload=payload)) == ""
    assert (
        code(request(method="GET", payload=payload))
        == code(request(method="HEAD", payload=payload))
        == "unexpected_body"
    )
    assert (
        code(request(method="POST", payload=payload, version=HttpVersion10, chunked=True))
        == "invalid_request"
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [(b"a", ""), ("é".encode(), ""), (b"\xff", "invalid_header"), (b"a\xed\xa0\x80", "invalid_header")],
)
def test_header_bytes(value: bytes, expected: str) -> None:
    assert code(request(raw_headers=((b"X-Title", value),))) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["chunked"], ""),
        (["Chunked "], ""),
        (["gzip, chunked"], "501"),
        (["gzip", "chunked"], "501"),
        (["identity,chunked"], "501"),
        ([" , chunked"], "501"),
        (["chunked, chunked"], "invalid_request"),
        (["chunked", "gzip,chunked"], "invalid_request"),
    ],
)
async def test_transfer_codings(values: list[str], expected: str) -> None:
    headers = CIMultiDict([("Host", "a"), *[("Transfer-Encoding", value) for value in values]])
    made = make_mocked_request("POST", "/v1/chat/completions", headers=headers)
    made._message = made._message._replace(chunked=True)
    assert code(made) == expected
