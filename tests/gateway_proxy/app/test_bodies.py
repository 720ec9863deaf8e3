"""Bodies are kept whole and streamed, without secrets, where the settings say so; and nobody notices when they cannot be."""

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gateway_proxy.app import bodies
from gateway_proxy.app.bodies import BodyBooks, make_note, make_row
from gateway_proxy.core.body_text import MAX_BYTES, hold
from gateway_proxy.core.exchange import Outcome
from gateway_proxy.core.ledger import BodyRow
from gateway_proxy.dialects.multipart import parse_form
from gateway_proxy.proxy.answers import Answer
from gateway_proxy.storage.database import StoreError
from tests.support.exchanges import make_exchange, make_route
from tests.support.gateway import provider_toml
from tests.support.in_process import Served, serve
from tests.support.raw import connect, make_request, send
from tests.support.replayer import Replayer

KEEPING = "[logs]\nbodies = true\n"
WHOLE = b'{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"<script>Hi"}}]}'
CHUNKS = [
    b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\n',
    b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"lo \\u0000"},"finish_reason":"stop"}]}\n\n',
    b"data: [DONE]\n\n",
]


def chat(**members: object) -> bytes:
    return json.dumps(
        {"model": "fake/m", "messages": [{"role": "user", "content": "hi"}], **members}
    ).encode()


class World(NamedTuple):
    served: Served
    provider: Replayer

    async def ask(self, body: bytes = b"", content_type: str = "application/json", **members: Any) -> str:
        """The id of the request."""
        self.provider.content_type = content_type
        data = make_request(self.served.secret, body=body or chat(), **members)
        answer = await asyncio.to_thread(send, self.served.port, data)
        return answer.headers["x-request-id"]

    async def find(self, request_id: str) -> BodyRow:
        await self.served.gateway.bodies.flush()
        row = await self.served.gateway.store.bodies.find(request_id)
        assert row is not None
        return row


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    with Replayer() as provider:
        provider.pieces = [WHOLE]
        async with serve(tmp_path, KEEPING + provider_toml(provider.origin + "/v1")) as served:
            yield World(served, provider)


async def test_a_whole_answer_and_what_was_asked(world: World) -> None:
    body = chat(user="me", metadata={"api_key": "hush"})
    row = await world.find(await world.ask(body))
    assert row.request_body == body.decode().replace("hush", "[redacted]")
    assert row.response_body == WHOLE.decode()


async def test_a_stream_is_the_document_that_it_makes_up(world: World) -> None:
    world.provider.pieces = CHUNKS
    row = await world.find(await world.ask(chat(stream=True), "text/event-stream"))
    assert row.response_body is not None and "\0" not in row.response_body
    [choice] = json.loads(row.response_body)["choices"]
    assert choice == {"index": 0, "message": {"content": "Hello \0"}, "finish_reason": "stop"}


async def test_refusals_and_what_cannot_be_read(world: World) -> None:
    row = await world.find(await world.ask(b'{"model": "\0\xff'))
    assert row.request_body == '{"model": "\u2400\ufffd'
    assert row.response_body is not None and "invalid_json" in row.response_body
    row = await world.find(
        await world.ask(headers=b"Content-Type: text/plain\r\n", line=b"POST /v1/embeddings HTTP/1.1")
    )
    assert row.request_body


async def test_what_is_long_is_cut_and_what_is_no_text_is_a_note(world: World) -> None:
    world.provider.pieces = [b"\x00\xff" * 20_000] * 60
    speech = {"model": "fake/m", "input": "word " * 40_000, "voice": "a"}
    line = b"POST /v1/audio/speech HTTP/1.1"
    row = await world.find(await world.ask(json.dumps(speech).encode(), "audio/mpeg", line=line))
    assert row.request_body is not None and len(row.request_body) < MAX_BYTES + 40
    assert "… [cut: 200," in row.request_body
    assert row.response_body == "[audio/mpeg, 2,400,000 bytes]"


async def test_a_client_that_leaves_leaves_what_it_got(world: World) -> None:
    left = threading.Event()

    def chunks() -> Iterator[bytes]:
        yield CHUNKS[0]
        left.wait(10)
        yield from CHUNKS[1:]

    world.provider.pieces, world.provider.content_type = chunks(), "text/event-stream"  # type: ignore[assignment]
    gateway = world.served.gateway
    with connect(world.served.port) as client:
        client.sendall(make_request(world.served.secret, body=chat(stream=True)))
        while b"Hel" not in await asyncio.to_thread(client.recv, 65_536):
            pass
    rows: list[tuple[Any, ...]] = []
    async with asyncio.timeout(20):
        while not rows:
            await gateway.bodies.flush()
            rows = await gateway.store.db.fetch("SELECT * FROM request_bodies")
            await asyncio.sleep(0.01)
    left.set()
    [row] = [BodyRow(*row) for row in rows]
    assert row.request_body == chat(stream=True).decode()
    assert row.response_body is not None and "Hel" in row.response_body and "lo" not in row.response_body


async def test_what_has_no_place_in_a_log_is_not_kept(world: World) -> None:
    served = world.served
    minting = make_request(served.secret, line=b"POST /v1/key/ephemeral HTTP/1.1", body=b"{}")
    answer = await asyncio.to_thread(send, served.port, minting)
    assert b"gwe_" in answer.body
    listing = make_request(served.secret, line=b"GET /v1/models HTTP/1.1", framing=b"", body=b"")
    await asyncio.to_thread(send, served.port, listing)
    assert not served.gateway.bodies.waiting
    served.gateway.books.log_requests = False
    await world.ask()
    assert not served.gateway.bodies.waiting


async def test_a_reload_turns_it_off_and_on(world: World) -> None:
    gateway = world.served.gateway
    plane, config = gateway.plane, gateway.config
    off = config.model_copy(update={"logs": config.logs.model_copy(update={"bodies": False})})
    await gateway.apply(off)
    await world.ask()
    assert plane.keep_bodies is None and not gateway.bodies.waiting
    assert all(stage.name != "keep_body" for stage in gateway.runtime.pipeline.stages)
    await gateway.apply(config)
    assert (await world.find(await world.ask())).response_body == WHOLE.decode()


class Table:
    def __init__(self) -> None:
        self.away = False
        self.rows: list[BodyRow] = []

    async def add(self, rows: list[BodyRow]) -> None:
        if self.away:
            raise StoreError("away")
        self.rows += rows


def finished(number: int, size: int = 1000) -> Any:
    return make_exchange(id=f"req_{number}", sent=hold(b"x " * (size // 2), "application/json"))


async def test_a_store_that_is_away_costs_bodies_at_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table()
    table.away = True
    books = BodyBooks(table)  # type: ignore[arg-type]
    monkeypatch.setattr(bodies, "MAX_WAITING_BYTES", 10_000)
    for number in range(10):
        books.keep(finished(number), None)
    assert (len(books.waiting), books.dropped) == (4, 6)
    with pytest.raises(StoreError):
        await books.flush()
    table.away = False
    await books.close()
    assert [row.request_id for row in table.rows] == ["req_0", "req_1", "req_2", "req_3"]
    books.keep(finished(11), None)
    assert len(books.waiting) == 1


async def test_a_fault_of_ours_stays_here(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = Table()
    books = BodyBooks(table)  # type: ignore[arg-type]
    with caplog.at_level(logging.CRITICAL):
        books.keep(make_exchange(sent=3), Answer(200, "broken", b""))
        assert not books.waiting

        def explode(held: object) -> str:
            raise KeyError("inner words")

        monkeypatch.setattr(bodies, "write_body", explode)
        books.keep(finished(1), None)
        await books.flush()
    assert table.rows[0].request_body == "[could not be written: KeyError]"


def test_a_form_is_its_fields_and_a_note_for_each_file() -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n'
        b'--b\r\nContent-Disposition: form-data; name="a[]"\r\n\r\n1\r\n'
        b'--b\r\nContent-Disposition: form-data; name="a[]"\r\n\r\n2\r\n'
        b'--b\r\nContent-Disposition: form-data; name="a[]"\r\n\r\n3\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\nContent-Type: audio/mpeg\r\n\r\n'
        + b"\xff" * 2000
        + b"\r\n--b--\r\n"
    )
    form = parse_form(body, "multipart/form-data; boundary=b")
    row = make_row(make_note(make_exchange(route=make_route(body=form)), None))
    assert row.request_body is not None
    assert json.loads(row.request_body) == {
        "model": "m",
        "a[]": ["1", "2", "3"],
        "file": "[audio/mpeg, 2,000 bytes]",
    }


def test_an_answer_that_nobody_got_is_none() -> None:
    exchange = make_exchange(outcome=Outcome.CLIENT_GONE)
    assert make_row(make_note(exchange, Answer(503, "", b"gone"))).response_body is None
    assert make_row(make_note(exchange, None)).request_body is None
