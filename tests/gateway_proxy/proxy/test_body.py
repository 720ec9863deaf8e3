"""Bodies: capped while they stream, cut when they idle."""

import asyncio
import mmap
from pathlib import Path
from unittest.mock import Mock

import pytest
from aiohttp import StreamReader, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict, CIMultiDictProxy

from gateway_proxy.core.errors import BadExchange
from gateway_proxy.proxy import body
from gateway_proxy.proxy.body import ClientGone, check_head, read_body
from gateway_proxy.proxy.head_facts import HeadFacts


def make_request(
    *chunks: bytes, ends: bool = True, headers: dict[str, str] | None = None
) -> tuple[web.BaseRequest, StreamReader]:
    loop = asyncio.get_running_loop()
    protocol = BaseProtocol(loop)
    protocol.transport = Mock()
    reader = StreamReader(protocol, 2**16, loop=loop)
    for chunk in chunks:
        reader.feed_data(chunk)
    if ends:
        reader.feed_eof()
    return make_mocked_request("POST", "/v1/x", headers=headers or {}, payload=reader), reader


async def test_a_body_that_is_there_and_one_that_comes() -> None:
    request, _ = make_request(b"abc", b"def")
    assert await read_body(request, 6) == b"abcdef"
    request, reader = make_request(b"abc", ends=False)
    reading = asyncio.get_running_loop().create_task(read_body(request, 6))
    await asyncio.sleep(0)
    reader.feed_data(b"def")
    reader.feed_eof()
    assert await reading == b"abcdef"


async def test_a_large_form_waits_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "FORM_BYTES", 10)
    chunks = [b"%d" % number * 4 for number in range(8)]
    request, reader = make_request(ends=False)
    reading = asyncio.get_running_loop().create_task(read_body(request, 1000, tmp_path))
    for chunk in chunks:
        await asyncio.sleep(0.002)
        reader.feed_data(chunk)
    reader.feed_eof()
    whole = await reading
    assert isinstance(whole, mmap.mmap) and whole[:] == b"".join(chunks)
    assert list(tmp_path.iterdir()) == []
    request, _ = make_request(b"abcdefgh")
    assert await read_body(request, 1000, tmp_path) == b"abcdefgh"
    request, reader = make_request(ends=False)
    reading = asyncio.get_running_loop().create_task(read_body(request, 20, tmp_path))
    for _ in range(4):
        await asyncio.sleep(0.002)
        reader.feed_data(b"x" * 8)
    with pytest.raises(BadExchange) as refused:
        await reading
    assert refused.value.status == 413 and list(tmp_path.iterdir()) == []


async def test_the_cap_holds_before_the_end() -> None:
    request, _ = make_request(b"abcdefg")
    with pytest.raises(BadExchange) as refused:
        await read_body(request, 6)
    assert refused.value.status == 413
    request, _ = make_request(b"abcdefg", ends=False)  # the rest is not waited for
    with pytest.raises(BadExchange) as refused:
        await asyncio.wait_for(read_body(request, 6), 1)
    assert refused.value.code == "body_too_large"


async def test_silence_and_broken_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "IDLE_SECONDS", 0.01)
    request, _ = make_request(b"abc", ends=False)
    with pytest.raises(BadExchange) as refused:
        await read_body(request, 6)
    assert (refused.value.status, refused.value.code) == (408, "body_timeout")
    request, reader = make_request(ends=False)
    reader.set_exception(web.RequestPayloadError("a chunk size"))
    with pytest.raises((BadExchange, ClientGone)):
        await read_body(request, 6)
    request, reader = make_request(ends=False)
    reader.set_exception(ConnectionResetError())
    with pytest.raises(ClientGone):
        await read_body(request, 6)


async def test_a_client_that_left_before_its_body_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    request, reader = make_request(b"abc", ends=False)
    reader._protocol.transport = None
    monkeypatch.setattr(request, "_protocol", reader._protocol)
    with pytest.raises(ClientGone):
        await read_body(request, 6)


def test_heads_that_condemn() -> None:
    for headers, status in (
        ({"Content-Length": "7"}, 413), ({"Content-Encoding": "gzip"}, 415), ({"Content-Encoding": "identity, br"}, 415),
    ):  # fmt: skip
        facts = HeadFacts("/v1/x", CIMultiDictProxy(CIMultiDict(headers)))
        with pytest.raises(BadExchange) as refused:
            check_head(facts, facts.body_length, 6)
        assert refused.value.status == status
    for headers in ({}, {"Content-Length": "6"}, {"Content-Encoding": "identity"}, {"Content-Encoding": ""}):
        facts = HeadFacts("/v1/x", CIMultiDictProxy(CIMultiDict(headers)))
        check_head(facts, facts.body_length, 6)
