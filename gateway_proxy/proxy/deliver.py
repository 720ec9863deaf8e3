"""From a provider's answer to the client's: whole when it is small, streamed when it is not, settled at its end."""

import asyncio
import time
from dataclasses import dataclass

import orjson

from gateway_proxy.core.dialect import Dialect, UsageTap
from gateway_proxy.core.errors import GatewayError, UpstreamFailed
from gateway_proxy.core.exchange import Attempt, Outcome
from gateway_proxy.core.limiter import Counters
from gateway_proxy.core.money import format_usd
from gateway_proxy.core.translation import Translated
from gateway_proxy.core.usage import UsageSource
from gateway_proxy.proxy.answers import Answer, BaseAnswer, StreamAnswer, header_line
from gateway_proxy.proxy.failures import CUT_OUTCOMES, cut_error, describe_failure
from gateway_proxy.proxy.headers import (
    describe_limits,
    fill,
    find_note,
    is_encoded,
    is_event_stream,
    pass_downward,
)
from gateway_proxy.proxy.pump import Pump
from gateway_proxy.proxy.run import Cut, Run
from gateway_proxy.proxy.settle import Settlement
from gateway_proxy.proxy.upstream import UpstreamError, UpstreamResponse

# Bound once: looking up an enumeration's member costs a descriptor call each time.
_OPEN = Outcome.OPEN
_COMPLETED = Outcome.COMPLETED
_UPSTREAM_FAILED = Outcome.UPSTREAM_FAILED
_FAILED = Outcome.FAILED
_PROVIDER = UsageSource.PROVIDER
WHOLE_ANSWER_BYTES = 1_048_576
TRANSLATED_ANSWER_BYTES = 16_777_216  # beyond that nothing is translated that is not a stream
_STREAM_LINES = (
    "content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\nx-accel-buffering: no\r\n"
)
_REPLACED_IN_STREAMS = frozenset((b"content-type", b"cache-control"))
_target_lines: dict[tuple[str, str], str] = {}
MAX_TARGET_LINES = 4096
_ENDED_EARLY = "The provider's answer ended early."
_END_OF_EVENT = b"\n\n"  # so that the error event stands on its own, whatever was under way


class Reply:
    """An answer of a provider that shall reach the client, and its attempt."""

    __slots__ = ("attempt", "dialect", "is_event_stream", "note", "response", "translated")

    def __init__(
        self,
        attempt: Attempt,
        response: UpstreamResponse,
        dialect: Dialect,
        translated: Translated | None,
        own_rate_limits: bool,
    ) -> None:
        self.translated = translated
        self.attempt = attempt
        self.response = response
        self.dialect = dialect
        self.note = note = find_note(response, own_rate_limits=own_rate_limits)
        stream = None if note is None else note.is_event_stream
        self.is_event_stream = is_event_stream(response.header(b"content-type")) if stream is None else stream

    def make_tap(self, run: Run) -> UsageTap:
        if self.translated is not None:
            return self.translated.tap(self.is_event_stream)
        route = run.exchange.route
        assert route is not None
        if route.kept is not None:
            route.kept.target = self.attempt.target
        return self.dialect.tap(route, self.is_event_stream)


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """An upstream's own error answer, read and settled."""

    reply: Reply
    body: bytes


class Delivery:
    """Hands answers to the client and closes their attempts on every way out."""

    def __init__(self, settlement: Settlement, limiter: Counters) -> None:
        self._settlement = settlement
        self._limiter = limiter
        self.stream_answer = StreamAnswer  # or one that remembers what it sent

    def make_stream_head(self, run: Run, attempt: Attempt, passed: str) -> StreamAnswer:
        """The head of an event stream; `passed` are the provider's lines, none if it has not answered yet."""
        return self.stream_answer(200, f"{passed}{_STREAM_LINES}{self._own_lines(run, attempt)}")

    def _own_lines(self, run: Run, attempt: Attempt) -> str:
        target = attempt.target
        named = (target.provider, target.model)
        lines = _target_lines.get(named)
        if lines is None:
            if len(_target_lines) >= MAX_TARGET_LINES:
                _target_lines.clear()
            lines = header_line("x-gateway-provider", named[0]) + header_line("x-gateway-model", named[1])
            _target_lines[named] = lines
        exchange = run.exchange
        return f"{exchange.answer_lines}{lines}{describe_limits(exchange, self._limiter)}"

    def _passed(self, run: Run, reply: Reply, replaced: frozenset[bytes] = frozenset()) -> str:
        policy, response = run.exchange.policy, reply.response
        assert policy is not None
        if reply.note is not None and not replaced:
            return fill(reply.note, response.values)
        return pass_downward(response.headers, own_rate_limits=policy.limits_rate, replaced=replaced)

    def close(self, run: Run, reply: Reply, tap: UsageTap | None, outcome: Outcome) -> None:
        """Settle the attempt; the first call decides."""
        if reply.attempt.outcome is _OPEN:
            reply.attempt.outcome = outcome
        self._settlement.close_attempt(run.exchange, reply.attempt, tap)

    def finish_whole(self, run: Run, reply: Reply) -> BaseAnswer | None:
        """What `finish` makes of an answer that is here whole and of which nothing is wrong; None for every other."""
        response, note, route = reply.response, reply.note, run.exchange.route
        if note is None or note.is_encoded is not False or not 200 <= response.status < 300:
            return None
        if reply.is_event_stream or (route is not None and route.as_array):
            return None
        body = response.take_whole()
        if body is None:
            return None
        tap = reply.make_tap(run)
        try:
            tap.feed(body)
            return self._answer_whole(run, reply, tap, body)
        except BaseException:
            self.close(run, reply, tap, _FAILED)
            raise

    async def finish(self, run: Run, reply: Reply) -> BaseAnswer:
        """Deliver one answer. Raises GatewayError while the client has not seen a byte."""
        response = reply.response
        tap = reply.make_tap(run)
        try:
            refusal = self._check_head(reply)
            if refusal is not None:
                self.close(run, reply, tap, _UPSTREAM_FAILED)
                return self.fail(run, refusal)
            if reply.is_event_stream and response.status < 400:
                return await self._deliver_stream(run, reply, tap)
            route = run.exchange.route
            if route is not None and route.as_array and response.status < 400:
                return await self._deliver_unkept(run, reply, tap, [])
            return await self._collect(run, reply, tap)
        except BaseException:
            self.close(run, reply, tap, _FAILED)
            raise
        finally:
            response.close()

    def _check_head(self, reply: Reply) -> GatewayError | None:
        """What must not be passed on: a refusal of our credential, a redirect, an encoded answer."""
        response, provider = reply.response, reply.attempt.target.provider
        if response.status in (401, 403):
            return refused_credential(reply)
        if not 200 <= response.status < 600 or 300 <= response.status < 400:
            return UpstreamFailed(
                f"The provider '{provider}' gave an answer that is not passed on.",
                detail=f"status {response.status}",
            )
        if is_encoded(response.header(b"content-encoding")):
            return UpstreamFailed(
                f"The provider '{provider}' gave an answer that cannot be read.",
                detail="content-encoding was not asked for",
            )
        return None

    def fail(self, run: Run, error: GatewayError) -> BaseAnswer:
        """Raise the error, or end the stream with it when the head has left."""
        run.exchange.error = error
        answer = run.answer
        if answer is None:
            raise error
        route = run.exchange.route
        if not run.streaming:
            answer.abort()  # no room for words inside a document: the client must see that it broke
        elif not run.gone_at and run.cut is not Cut.CLIENT_GONE:
            operation = "" if route is None else route.operation
            answer.send(run.dialect.error_event(error, operation, run.exchange.id))
        return answer

    async def _collect(self, run: Run, reply: Reply, tap: UsageTap) -> BaseAnswer:
        response = reply.response
        parts: list[bytes] = []
        size = 0
        try:
            while data := response.take() or await response.read():
                parts.append(data)
                size += len(data)
                tap.feed(data)
                if size > WHOLE_ANSWER_BYTES and run.answer is None:
                    if reply.translated is None:
                        return await self._deliver_unkept(run, reply, tap, parts)
                    if size > TRANSLATED_ANSWER_BYTES:
                        return self._give_up(run, reply, tap, "the answer is too long")
        except UpstreamError as error:
            self.close(run, reply, tap, _UPSTREAM_FAILED)
            return self.fail(run, describe_failure(error, reply.attempt.target.provider))
        except asyncio.CancelledError:
            return self._cut(run, reply, tap)
        return self._answer_whole(run, reply, tap, b"".join(parts))

    def _answer_whole(self, run: Run, reply: Reply, tap: UsageTap, body: bytes) -> BaseAnswer:
        response, exchange, attempt = reply.response, run.exchange, reply.attempt
        tap.close()
        if response.status >= 400:
            self.close(run, reply, tap, _UPSTREAM_FAILED)
            return self.pass_error(run, ErrorAnswer(reply, body))
        if reply.translated is not None:
            try:
                body = reply.translated.translate_answer(body, tap.usage)
            except ValueError as error:
                return self._give_up(run, reply, tap, str(error))
        self.close(run, reply, tap, _COMPLETED)
        if run.answer is not None:
            return self.fail(run, _late_error(reply, body))
        exchange.first_byte_ns = time.monotonic_ns()
        lines = self._passed(run, reply) + self._own_lines(run, attempt)
        if attempt.usage_source is _PROVIDER and attempt.rates is not None:
            charged = attempt.charged_nanos
            if len(exchange.attempts) > 1:
                charged = sum(each.charged_nanos for each in exchange.attempts)
            lines += f"x-gateway-cost-usd: {format_usd(charged)}\r\n"
        return Answer(response.status, lines, body)

    def _give_up(self, run: Run, reply: Reply, tap: UsageTap, why: str) -> BaseAnswer:
        """An answer that cannot be translated. What the provider says that it used is owed all the same."""
        self.close(run, reply, tap, _UPSTREAM_FAILED)
        public = f"The provider '{reply.attempt.target.provider}' gave an answer that cannot be translated."
        return self.fail(run, UpstreamFailed(public, detail=why[:200]))

    def pass_error(self, run: Run, error: ErrorAnswer) -> BaseAnswer:
        """The upstream's own 4xx or 5xx, as it is; the last event of a stream whose head has left."""
        reply = error.reply
        if run.answer is not None:
            return self.fail(run, _late_error(reply, error.body))
        response, body = reply.response, error.body
        if reply.translated is None:
            lines = self._passed(run, reply)
        else:
            body = reply.translated.translate_error(response.status, body)
            lines = self._passed(run, reply, _REPLACED_IN_STREAMS) + "content-type: application/json\r\n"
        lines += self._own_lines(run, reply.attempt)
        return Answer(response.status, f"{lines}x-gateway-error-source: upstream\r\n", body)

    async def _deliver_unkept(self, run: Run, reply: Reply, tap: UsageTap, parts: list[bytes]) -> BaseAnswer:
        """A stream in a document, or an answer above the size that is kept whole: head and beginning leave now."""
        response = reply.response
        length = response.header(b"content-length")
        lines = self._passed(run, reply) + self._own_lines(run, reply.attempt)
        answer = self.stream_answer(response.status, lines, None if length is None else int(length))
        run.answer = answer
        run.streaming = False
        await _start(answer, run)
        run.exchange.first_byte_ns = time.monotonic_ns()
        answer.send(b"".join(parts))
        try:
            error = await Pump(run, response, tap, answer).copy()
        except asyncio.CancelledError:
            answer.abort()
            return self._cut(run, reply, tap)
        if error is not None:
            self.close(run, reply, tap, _UPSTREAM_FAILED)
            run.exchange.error = describe_failure(error, reply.attempt.target.provider)
            answer.abort()
            return answer
        tap.close()
        if not tap.finished:  # a well-formed end of half a document
            self.close(run, reply, tap, _UPSTREAM_FAILED)
            run.exchange.error = UpstreamFailed(_ENDED_EARLY)
            answer.abort()
            return answer
        self.close(run, reply, tap, _COMPLETED)
        return answer

    async def _deliver_stream(self, run: Run, reply: Reply, tap: UsageTap) -> BaseAnswer:
        response = reply.response
        run.tap = tap
        run.streaming = True  # whatever was asked for: this answer has room for comments and a last event
        answer = run.answer
        if answer is None:
            answer = self.make_stream_head(run, reply.attempt, self._passed(run, reply, _REPLACED_IN_STREAMS))
            run.answer = answer
            await _start(answer, run)
        try:
            error = await Pump(run, response, tap, answer).copy()
        except asyncio.CancelledError:
            return self._cut(run, reply, tap)
        in_event = not tap.at_event_boundary()
        rest = tap.close()
        broken: GatewayError | None = None
        if error is not None:
            broken = describe_failure(error, reply.attempt.target.provider)
        elif not tap.finished and ((tap.needs_end and not tap.failed) or _ends_by_closing(response)):
            broken = UpstreamFailed(_ENDED_EARLY)
        if broken is not None:  # what was held back is half an event: nobody could read it
            if in_event:
                answer.send(_END_OF_EVENT)
            self.close(run, reply, tap, _UPSTREAM_FAILED)
            return self.fail(run, broken)
        if not run.gone_at:
            answer.send(rest)
        self.close(run, reply, tap, _UPSTREAM_FAILED if tap.failed else _COMPLETED)
        return answer

    def _cut(self, run: Run, reply: Reply, tap: UsageTap) -> BaseAnswer:
        cut = run.take_cut()
        reply.response.close()
        if cut is None:
            self.close(run, reply, tap, _FAILED)
            raise asyncio.CancelledError
        self.close(run, reply, tap, CUT_OUTCOMES[cut])
        if run.answer is not None and run.tap is tap and not tap.at_event_boundary():
            run.answer.send(_END_OF_EVENT)
        return self.fail(run, cut_error(cut))


def refused_credential(reply: Reply) -> UpstreamFailed:
    """The provider's 401 or 403 is between it and the gateway: its words stay here."""
    return UpstreamFailed(
        f"The provider '{reply.attempt.target.provider}' refused the gateway's credential.",
        code="upstream_auth_failed",
        should_retry=False,
    )


async def _start(answer: StreamAnswer, run: Run) -> None:
    """Send the head; a client that has just left is the sweeper's business, not an error."""
    try:
        await answer.prepare(run.request)
    except ConnectionError:
        run.gone_at = run.gone_at or asyncio.get_running_loop().time()
        if not run.drains:
            run.end(Cut.CLIENT_GONE)


def _ends_by_closing(response: UpstreamResponse) -> bool:
    return response.header(b"transfer-encoding") is None and response.header(b"content-length") is None


def _late_error(reply: Reply, body: bytes) -> GatewayError:
    """An answer that is no event stream, after the head of one has left: its message becomes the last event."""
    message = f"The provider '{reply.attempt.target.provider}' answered with status {reply.response.status}."
    try:
        told = orjson.loads(body)["error"]["message"]
        if isinstance(told, str):
            message = told[:2000]
    except (ValueError, KeyError, TypeError):
        pass
    return UpstreamFailed(message, code="upstream_error", status=reply.response.status)
