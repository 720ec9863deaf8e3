"""Whatever a plugin's stage does, the request passes only if it returned None, in time."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from gateway_proxy.core.errors import BadExchange, Denied, GatewayError, RateLimited
from gateway_proxy.plugins.exchange import Exchange
from gateway_proxy.plugins.guard import AsyncGuard, Guard, find_flaw
from gateway_proxy.plugins.stage import AsyncStage, Stage
from tests.support.exchanges import make_exchange


class Does(Stage):
    def __init__(self, act: Callable[[Any], Any]) -> None:
        self._act = act

    def check(self, exchange: Exchange) -> None:
        return self._act(exchange)


class Waits(AsyncStage):
    def __init__(self, act: Callable[[Any], Any], seconds: float = 5.0) -> None:
        self._act, self.timeout_seconds = act, seconds

    async def check(self, exchange: Exchange) -> None:
        await asyncio.sleep(0)
        result = self._act(exchange)
        return await result if asyncio.iscoroutine(result) else result


def throw(error: BaseException) -> Callable[[Any], None]:
    def act(_: Any) -> None:
        raise error

    return act


async def run(act: Callable[[Any], Any], kind: str) -> None:
    exchange = make_exchange()
    if kind == "sync":
        Guard("mine", Does(act), needs_body=False).check(exchange)
    else:
        await AsyncGuard("mine", Waits(act), needs_body=False).check(exchange)


both = pytest.mark.parametrize("kind", ["sync", "async"])


@both
async def test_it_passes_what_it_is_asked_about(kind: str) -> None:
    seen: list[Any] = []
    await run(seen.append, kind)
    assert isinstance(seen[0], Exchange) and seen[0].id == "req_1"


@both
async def test_its_refusal_is_the_answer(kind: str) -> None:
    for denied in (Denied("no", code="not_today", status=451), RateLimited("slow", retry_after_ms=5)):
        with pytest.raises(Denied) as refused:
            await run(throw(denied), kind)
        assert refused.value is denied


BROKEN = [
    KeyError("inner words"),
    SystemExit(1),
    GeneratorExit(),
    asyncio.CancelledError(),
    BadExchange("inner words"),
    GatewayError("inner words"),
    TimeoutError("inner words"),
    Denied("yes", status=200),
    Denied("x", code="two\r\nlines"),
    Denied("x", type="no type"),
    Denied(b"bytes"),  # type: ignore[arg-type]
    Denied("x", gateway={"a": object()}),
    Denied("x", gateway=["a"]),  # type: ignore[arg-type]
    Denied("x", retry_after_ms=-1),
    Denied("x", param=3),  # type: ignore[arg-type]
]


@both
@pytest.mark.parametrize("error", BROKEN, ids=lambda error: type(error).__name__)
async def test_one_that_breaks_refuses(
    kind: str, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR), pytest.raises(GatewayError) as refused:
        await run(throw(error), kind)
    assert (refused.value.status, refused.value.code) == (500, "stage_failed")
    assert "inner words" not in refused.value.public + refused.value.detail
    assert "mine" in caplog.text and "req_1" in caplog.text


@both
@pytest.mark.parametrize("result", [True, False, 0, "yes"])
async def test_an_answer_is_no_permission(kind: str, result: object) -> None:
    with pytest.raises(GatewayError) as refused:
        await run(lambda _: result, kind)
    assert refused.value.code == "stage_failed"


async def test_a_coroutine_that_nobody_awaits_is_no_permission() -> None:
    async def later() -> None: ...

    with pytest.raises(GatewayError) as refused:
        await run(lambda _: later(), "sync")
    assert refused.value.code == "stage_failed"


async def test_writing_elsewhere_than_extras_refuses() -> None:
    def act(exchange: Any) -> None:
        exchange.policy = None

    with pytest.raises(GatewayError) as refused:
        await run(act, "sync")
    assert refused.value.code == "stage_failed"


async def test_too_slow_is_a_refusal_even_if_it_says_yes_at_last() -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    for slow in (hang, stubborn):
        with pytest.raises(GatewayError) as refused:
            await AsyncGuard("mine", Waits(lambda _, slow=slow: slow(), 0.01), needs_body=True).check(
                make_exchange()
            )
        assert (refused.value.status, refused.value.code) == (503, "stage_timeout")
        assert refused.value.retry_after_ms == 1000


async def test_when_we_are_cancelled_it_is_no_fault_of_the_plugin() -> None:
    begun = asyncio.Event()

    async def hang() -> None:
        begun.set()
        await asyncio.Event().wait()

    guard = AsyncGuard("mine", Waits(lambda _: hang()), needs_body=True)
    task = asyncio.get_running_loop().create_task(guard.check(make_exchange()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_flaws_are_named() -> None:
    assert find_flaw(Denied("no", code="mine", status=422, gateway={"a": 1}, param="model")) == ""
    assert "status" in find_flaw(Denied("no", status=302))
