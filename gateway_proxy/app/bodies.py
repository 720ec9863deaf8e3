"""Bodies of model requests on their way into the store, where the settings have them kept.

Promises that the data plane does nothing for it while they are not kept, and that keeping them never fails, changes or delays a
request: what was sent and answered is noted as it is, bounded; reading it, masking secrets and writing happen behind, in a
thread. Beyond the bound bodies are dropped and counted; their rows in the request log stay.
"""

import asyncio
import logging
from collections import deque
from itertools import islice
from typing import NamedTuple

import orjson

from gateway_proxy.app.carrying import Carrier
from gateway_proxy.core.body_text import MAX_BYTES, Held, hold, note_binary, write_body
from gateway_proxy.core.exchange import Exchange, Outcome
from gateway_proxy.core.ledger import BodyRow
from gateway_proxy.dialects.assembled import assemble
from gateway_proxy.dialects.multipart import MultipartForm
from gateway_proxy.proxy.answers import Answer, BaseAnswer, StreamAnswer
from gateway_proxy.proxy.handler import DataPlane
from gateway_proxy.proxy.kept_stream import KeptStream
from gateway_proxy.storage.bodies import Bodies

BATCH_ROWS = 50
MAX_WAITING_BYTES = 67_108_864
log = logging.getLogger("gateway_proxy.books")


class Note(NamedTuple):
    """One request's bodies as they were."""

    request_id: str
    at: int
    request: Held | None
    response: Held | None
    is_events: bool  # the response is an event stream

    @property
    def size(self) -> int:
        return sum(len(held.data) for held in (self.request, self.response) if held is not None) + 1024


class BodyBooks(Carrier):
    """One per gateway."""

    def __init__(self, table: Bodies) -> None:
        super().__init__()
        self.waiting: deque[Note] = deque()
        self.dropped = 0
        self._table = table
        self._waiting_bytes = 0

    def configure(self, keeps: bool, plane: DataPlane) -> None:
        """Put new settings in force for requests from now on."""
        plane.keep_bodies = self.keep if keeps else None
        plane.relay.answer_streams_with(KeptStream if keeps else StreamAnswer)

    def keep(self, exchange: Exchange, answer: BaseAnswer | None) -> None:
        """Note the bodies of a request that has ended. Never waits and never raises."""
        if not exchange.operation or exchange.operation == "mcp":
            return  # MCP has a log of its own; what the gateway answers itself may hold a new token
        try:
            note = make_note(exchange, answer)
            if self._waiting_bytes + note.size > MAX_WAITING_BYTES:
                self.dropped += 1
                return
            self._waiting_bytes += note.size
            self.waiting.append(note)
            self._due.set()
        except Exception:
            log.exception("the bodies of %s are not kept", exchange.id)

    def _describe(self) -> str:
        return f"bodies of requests ({len(self.waiting)} wait)"

    async def _carry(self) -> None:
        while batch := list(islice(self.waiting, BATCH_ROWS)):
            await self._table.add(await asyncio.to_thread(_make_rows, batch))
            for _ in batch:
                self._waiting_bytes -= self.waiting.popleft().size


def make_note(exchange: Exchange, answer: BaseAnswer | None) -> Note:
    """What the client sent, as far as it was read, and what was handed to its socket."""
    sent, route = exchange.sent, exchange.route
    if route is not None and type(route.body) is MultipartForm:
        told = orjson.dumps(describe_form(route.body))
        sent = Held(told, len(told))
    response, is_events = None, False
    if isinstance(answer, KeptStream):
        response, is_events = _hold_stream(answer)
    elif isinstance(answer, Answer) and exchange.outcome is not Outcome.CLIENT_GONE:
        response = hold(answer.body, answer.headers.get("content-type", ""))
    return Note(exchange.id, exchange.received_at, sent, response, is_events)


def _hold_stream(answer: KeptStream) -> tuple[Held, bool]:
    content_type = answer.headers.get("content-type", "")
    if not answer.kept and answer.kept_size:
        return Held(note_binary(content_type, answer.kept_size).encode(), answer.kept_size), False
    is_events = content_type.startswith("text/event-stream")
    data = b"".join(answer.kept)
    return Held(data, answer.kept_size, len(data) < answer.kept_size), is_events


def describe_form(form: MultipartForm) -> dict[str, str | list[str]]:
    """Fields as they are, files as notes."""
    told: dict[str, str | list[str]] = {}
    for part in form.parts:
        if part.filename is None:
            value = bytes(part.value[:MAX_BYTES]).decode("utf-8", "replace")
        else:
            value = note_binary(part.content_type, len(part.value))
        have = told.get(part.name)
        if have is None:
            told[part.name] = value
        else:
            told[part.name] = [*have, value] if isinstance(have, list) else [have, value]
    return told


def _make_rows(notes: list[Note]) -> list[BodyRow]:
    return [make_row(note) for note in notes]


def make_row(note: Note) -> BodyRow:
    """The texts. One that cannot be made says so instead of holding up the others."""
    return BodyRow(
        note.request_id,
        note.at,
        _write(note, note.request, False),
        _write(note, note.response, note.is_events),
    )


def _write(note: Note, held: Held | None, is_events: bool) -> str | None:
    if held is None:
        return None
    try:
        if is_events and (document := assemble(held.data)) is not None:
            return write_body(held._replace(data=orjson.dumps(document)))
        return write_body(held)
    except Exception as error:  # whatever a body is, the next one is written
        log.exception("a body of %s cannot be written", note.request_id)
        return f"[could not be written: {type(error).__name__}]"
