"""A request loses its prefix and nothing else, byte for byte; an answer of ours is like any other to middlewares."""

import asyncio
from typing import Any

import pytest
from aiohttp import web
from aiohttp.streams import StreamReader
from aiohttp.test_utils import make_mocked_request

from gateway_proxy.core.errors import BadExchange
from gateway_proxy.proxy.answers import Answer
from gateway_proxy.proxy.prefixed import ReadBody, adopt, strip_prefix


@pytest.mark.parametrize(
    "below",
    [
        "/v1/models",
        "/v1/models/a%2Fb",
        "/v1/x?key=%20&a=b;c",
        "/v1//x",
        "/v1/../x",
        "/%761/x",
        "/v1/x#f",
        "/",
        "//evil.example/v1",
    ],
)
@pytest.mark.parametrize("prefix", ["", "/llm", "/a/b"])
async def test_what_is_below_stays_as_it_was_written(prefix: str, below: str) -> None:
    request = make_mocked_request("POST", prefix + below, headers={"X-A": "b"})
    stripped = strip_prefix(request, prefix)
    assert stripped.raw_path == below and stripped.headers["X-A"] == "b"
    assert request.raw_path == prefix + below
    assert stripped.match_info is request.match_info


@pytest.mark.parametrize("target", ["/l%6Cm/v1", "/llmx/v1", "/llm", "http://host/llm/v1", "/LLM/v1"])
async def test_what_only_means_the_prefix_is_refused(target: str) -> None:
    with pytest.raises(BadExchange):
        strip_prefix(make_mocked_request("GET", target), "/llm")


async def test_a_body_that_somebody_read_is_there_again() -> None:
    payload = StreamReader(_Protocol(), 2**16, loop=asyncio.get_running_loop())  # type: ignore[arg-type]
    payload.feed_data(b"hello")
    payload.feed_eof()
    request = make_mocked_request("POST", "/llm/v1", payload=payload)
    assert await request.read() == b"hello"
    content: Any = strip_prefix(request, "/llm").content
    assert content.is_eof() and content.read_nowait() == b"hello" and content.read_nowait() == b""
    assert await request.read() == b"hello"
    assert await ReadBody(b"x").readany() == b"x"


class _Protocol:
    _reading_paused = False

    def resume_reading(self, resume_parser: bool = True) -> None: ...


def test_middlewares_find_what_they_expect() -> None:
    answer = adopt(Answer(200, "content-type: application/json\r\nx-a: b\r\n", b"{}"))
    key = web.ResponseKey("key", str)
    answer[key] = "noted"
    answer.headers["x-c"] = "d"
    assert (answer[key], answer.reason, answer.content_type) == ("noted", "OK", "application/json")
    assert (answer.headers["x-a"], answer.prepared) == ("b", False)
    answer._begun = True
    assert adopt(answer) is answer
