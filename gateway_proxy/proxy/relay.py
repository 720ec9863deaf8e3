"""One admitted exchange: attempts at its targets, until one answers; then the answer, copied as it comes.

Another target is tried after the failures that the model's settings name, and only while nothing has gone to the client. Every attempt has its own reservation and its own ledger row, settled exactly once on every way out.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace

from gateway_proxy.core.catalog import USUAL_FALLBACK, Fallback, Target
from gateway_proxy.core.clock import Clock
from gateway_proxy.core.errors import GatewayError, Unavailable, UpstreamFailed
from gateway_proxy.core.exchange import Attempt, Outcome
from gateway_proxy.core.limiter import (
    Claim,
    CounterUnknown,
    Lease,
    Limiter,
    LimitExceeded,
    Meter,
    Rule,
    WaitingLimiter,
)
from gateway_proxy.core.policy import KeyPolicy
from gateway_proxy.proxy.answers import BaseAnswer, StreamAnswer
from gateway_proxy.proxy.deliver import Delivery, ErrorAnswer, Reply, refused_credential
from gateway_proxy.proxy.failures import CUT_OUTCOMES, cut_error, describe_failure
from gateway_proxy.proxy.headers import encode_ids
from gateway_proxy.proxy.run import Run
from gateway_proxy.proxy.runtime import Runtime
from gateway_proxy.proxy.settle import Settlement
from gateway_proxy.proxy.upstream import PoolExhausted, UpstreamError

_FAULT_STATUSES = USUAL_FALLBACK.statuses - {429}
RETRY_DELAY_SECONDS = 0.1
MAX_ERROR_BODY_BYTES = 1_048_576


class Relay:
    """Stateless between exchanges; one per gateway."""

    def __init__(self, settlement: Settlement, limiter: Limiter | WaitingLimiter, clock: Clock) -> None:
        self._settlement = settlement
        self._limiter = limiter
        self._clock = clock
        self._delivery = Delivery(settlement, limiter)
        # A key's newest policy; None: the one that the exchange was admitted with.
        self.find_policy: Callable[[str], KeyPolicy | None] = lambda key_id: None

    def answer_streams_with(self, kind: type[StreamAnswer]) -> None:
        """For exchanges that are to come."""
        self._delivery.stream_answer = kind

    async def relay(self, run: Run, runtime: Runtime) -> BaseAnswer:
        """Raises GatewayError while the client has not seen a byte; later faults end the stream itself."""
        exchange = run.exchange
        model = exchange.model
        assert model is not None
        order = runtime.order(exchange)
        if not order:
            raise UpstreamFailed(
                f"Every provider of the model '{model.name}' is failing at the moment.",
                code="upstream_unavailable",
                status=503,
                retry_after_ms=1000,
            )
        upward = run.upward + encode_ids(exchange)
        reply: ErrorAnswer | GatewayError | None = None
        slots, attempts = runtime.slots, exchange.attempts
        held: Target | None = None
        # Each usable target once, in order; with more retries than that, from the front again.
        tries = max(len(order), 1 + model.retries)
        try:
            for number in range(tries):
                target = order[number % len(order)]
                if attempts and not await self._prepare_retry(run, target, attempts[-1].target, runtime):
                    break
                if slots is not None:
                    if held is not None:
                        slots.give_back(held)
                    held = target if slots.take(target) else None
                    if held is None:
                        continue  # full: it is not waited for
                lease = exchange.lease if not attempts else await self._reserve_anew(run)
                if lease is None:
                    break  # no budget that can be judged pays a further attempt; the last failure stands
                # The first attempt uses what admission reserved, each further one what was reserved anew.
                bound = exchange.bound
                reserved_nanos = 0 if bound is None else bound.nanos
                attempt = Attempt(len(attempts) + 1, target, lease, reserved_nanos, lease.admitted_at)
                attempts.append(attempt)
                answer = await self._attempt(run, runtime, attempt, upward, is_last=number + 1 == tries)
                if isinstance(answer, Reply):
                    return self._delivery.finish_whole(run, answer) or await self._delivery.finish(
                        run, answer
                    )
                reply = answer
                if isinstance(reply, GatewayError) and not _may_go_on(reply, model.fallback):
                    break
        finally:
            if slots is not None and held is not None:
                slots.give_back(held)
        if isinstance(reply, ErrorAnswer):
            return self._delivery.pass_error(run, reply)
        return self._delivery.fail(run, _all_full(model.name) if reply is None else reply)

    async def _prepare_retry(self, run: Run, target: Target, failed: Target, runtime: Runtime) -> bool:
        if run.answer is not None or run.cut is not None or run.is_client_gone:
            return False
        if target is failed:
            if not runtime.may_retry(target.provider):
                return False
            try:
                await asyncio.sleep(RETRY_DELAY_SECONDS * (0.5 + random.random()))
            except asyncio.CancelledError:
                if run.take_cut() is None:
                    raise
                return False
        return True

    async def _reserve_anew(self, run: Run) -> Lease | None:
        """For a further attempt; None when nothing pays for it, or the exchange was cut meanwhile."""
        exchange = run.exchange
        policy, limiter = exchange.policy, self._limiter
        assert policy is not None
        # The key may have been edited while the last attempt ran: the budget of now decides.
        claims = tuple(
            replace(claim, rule=rule)
            for claim in exchange.claims
            if claim.meter is Meter.NANOS and (rule := self._present_rule(claim)) is not None
        )
        try:
            if isinstance(limiter, WaitingLimiter):
                name = f"{exchange.id}~{len(exchange.attempts) + 1}"
                return await limiter.acquire(claims, key_ids=policy.key_ids, name=name)
            return limiter.acquire(claims, key_ids=policy.key_ids)
        except (LimitExceeded, CounterUnknown):
            return None
        except asyncio.CancelledError:
            if run.take_cut() is None:
                raise
            return None

    def _present_rule(self, claim: Claim) -> Rule | None:
        policy = self.find_policy(claim.key_id)
        return claim.rule if policy is None else policy.budget_rule

    async def _attempt(
        self, run: Run, runtime: Runtime, attempt: Attempt, upward: bytes, *, is_last: bool
    ) -> Reply | ErrorAnswer | GatewayError:
        """One try: an answer to deliver, an error answer that another target may mend, or a failure."""
        exchange, target = run.exchange, attempt.target
        link, route, model = runtime.links[target.provider], exchange.route, exchange.model
        assert route is not None and model is not None
        translated = None
        if exchange.translated is not None:
            translated = exchange.translated.get((target.provider, target.model))
        if translated is None:
            body, content_type, path = link.dialect.encode(
                route, target, exchange.output_cap, link.modern_cap_field
            )
        else:
            body, content_type, path = translated.encode(target, exchange.output_cap, link.modern_cap_field)
            upward = translated.adapt_head(upward)
        length = len(body) if isinstance(body, bytes) else sum(len(piece) for piece in body)
        if content_type:
            head = link.encode_head(path, content_type, length, upward)
        else:
            head = link.encode_bare_head(exchange.method, path, upward)
        self._open(run, attempt)
        began_ns = 0 if model.plan is None else self._clock.monotonic_ns()
        if run.streaming and attempt.number == 1:
            run.early_head = self._delivery.make_stream_head(run, attempt, "")
        try:
            connection = link.pool.take_warm() or await link.pool.connect()
            attempt.dispatched = True
            waiter = link.pool.begin(connection, head, body)
            try:
                response = await waiter
            except BaseException:
                connection.give_up(waiter)
                raise
        except UpstreamError as error:
            attempt.dispatched = error.request_sent
            if not isinstance(error, PoolExhausted):
                runtime.report(target, True)
            self._close(run, attempt, Outcome.UPSTREAM_FAILED)
            return describe_failure(error, target.provider)
        except asyncio.CancelledError:
            cut = run.take_cut()
            self._close(run, attempt, Outcome.FAILED if cut is None else CUT_OUTCOMES[cut])
            if cut is None:
                raise
            return cut_error(cut)
        except BaseException:
            self._close(run, attempt, Outcome.FAILED)
            raise
        attempt.status = response.status
        runtime.report(target, response.status in _FAULT_STATUSES)
        if began_ns and response.status < 400:
            runtime.observe(target, route.stream, (self._clock.monotonic_ns() - began_ns) / 1e9)
        policy = exchange.policy
        assert policy is not None
        reply = Reply(attempt, response, link.dialect, translated, policy.limits_rate)
        if response.status not in model.fallback.statuses or is_last or run.answer is not None:
            return reply
        return await self._get_over(run, reply)

    def _open(self, run: Run, attempt: Attempt) -> None:
        try:
            self._settlement.open_attempt(run.exchange, attempt)
        except GatewayError:
            self._limiter.settle_nanos(attempt.lease, 0)
            run.exchange.attempts.pop()
            raise

    async def _get_over(self, run: Run, reply: Reply) -> ErrorAnswer | GatewayError:
        """An error answer that another target may mend: keep it in case none does, settle the attempt."""
        tap, body = reply.make_tap(run), b""
        try:
            body = await reply.response.read_all(MAX_ERROR_BODY_BYTES)
            tap.feed(body)
            tap.close()
        except UpstreamError as error:
            return describe_failure(error, reply.attempt.target.provider)
        except asyncio.CancelledError:
            cut = run.take_cut()
            self._delivery.close(run, reply, tap, Outcome.FAILED if cut is None else CUT_OUTCOMES[cut])
            if cut is None:
                raise
            return cut_error(cut)
        finally:
            reply.response.close()
            self._delivery.close(run, reply, tap, Outcome.UPSTREAM_FAILED)
        if reply.response.status in (401, 403):
            return refused_credential(reply)
        return ErrorAnswer(reply, body)

    def _close(self, run: Run, attempt: Attempt, outcome: Outcome) -> None:
        attempt.outcome = outcome
        self._settlement.close_attempt(run.exchange, attempt, None)


def _may_go_on(error: GatewayError, fallback: Fallback) -> bool:
    """Whether another target may mend this: not after a cut, and not where the answer itself broke off."""
    if error.code == "upstream_timeout":
        return fallback.timeout
    if error.code == "upstream_auth_failed":
        return True  # its status was chosen, or it would be an answer
    return (
        fallback.connect_error
        and isinstance(error, UpstreamFailed | Unavailable)
        and error.code in ("upstream_unavailable", "upstream_broken", "overloaded")
    )


def _all_full(model: str) -> Unavailable:
    return Unavailable(
        f"Every provider of the model '{model}' is busy: as many requests run there as may.",
        retry_after_ms=1000,
    )
