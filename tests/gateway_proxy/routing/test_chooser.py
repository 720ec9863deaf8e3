"""The order of an exchange: by plan, by health, and back again."""

from collections import Counter
from random import Random
from typing import Any

import pytest

from gateway_proxy.core.catalog import Plan, Target
from gateway_proxy.core.clock import FakeClock
from gateway_proxy.core.exchange import Exchange
from gateway_proxy.routing.breaker import Breakers
from gateway_proxy.routing.chooser import Chooser, find_sticky
from gateway_proxy.routing.latencies import Latencies
from gateway_proxy.routing.retry_budget import RetryBudgets
from tests.support.exchanges import make_exchange, make_model, make_policy, make_route

TARGETS = tuple(Target(name, "m", tier=1) for name in ("a", "b", "c"))
STICKY = Plan(sticky=("prompt_cache_key", "metadata.user_id", "key"))


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.breakers = Breakers(self.clock)
        self.latencies = Latencies(self.clock)
        self.chooser = Chooser(self.breakers, RetryBudgets(self.clock), self.latencies, Random(5))

    def first(self, exchange: Exchange) -> str:
        return self.chooser.order(exchange)[0].provider


def ask(plan: Plan | None, body: dict[str, Any] | None = None, **key: Any) -> Exchange:
    model = make_model(*TARGETS, plan=plan)
    return make_exchange(make_policy(**key), model, make_route(body=body or {}))


def test_without_a_plan_by_weight() -> None:
    world = World()
    first = Counter(world.first(ask(None)) for _ in range(3000))
    assert all(900 < first[name] < 1100 for name in "abc")


def test_sticky_stays_moves_away_and_comes_back() -> None:
    world, exchange = World(), ask(STICKY, {"prompt_cache_key": "long prompt"})
    home = world.first(exchange)
    assert {world.first(exchange) for _ in range(20)} == {home}
    target = next(target for target in TARGETS if target.provider == home)
    for _ in range(5):
        world.chooser.report(target, True)
    away = world.first(exchange)
    assert away != home and {world.first(exchange) for _ in range(20)} == {away}
    others = [ask(STICKY, {"prompt_cache_key": str(number)}) for number in range(40)]
    healthy = World()
    stayed = [other for other in others if healthy.first(other) != home]
    assert all(world.first(other) == healthy.first(other) for other in stayed)
    world.clock.advance(5)
    assert world.first(exchange) == home  # the one probe
    assert world.first(exchange) == away  # nobody else, until it is answered
    world.chooser.report(target, False)
    assert {world.first(exchange) for _ in range(20)} == {home}


def test_sticky_values_are_spread() -> None:
    world = World()
    homes = Counter(world.first(ask(STICKY, {"prompt_cache_key": str(n)})) for n in range(900))
    assert all(230 < homes[name] < 370 for name in "abc")


@pytest.mark.parametrize(
    ("body", "key", "value"),
    [
        ({"prompt_cache_key": "p", "metadata": {"user_id": "u"}}, {}, "prompt_cache_key\0p"),
        ({"prompt_cache_key": "", "metadata": {"user_id": "u"}}, {}, "metadata.user_id\0u"),
        ({"prompt_cache_key": ["p"], "metadata": "u"}, {"id": "key_1"}, "key\0key_1"),
        ({}, {"id": "tok_1", "parent_id": "key_1"}, "key\0key_1"),
        ({"prompt_cache_key": 7}, {}, "prompt_cache_key\x007"),
    ],
)
def test_what_a_request_is_kept_together_by(body: dict[str, Any], key: dict[str, Any], value: str) -> None:
    assert find_sticky(STICKY.sticky, ask(STICKY, body, **key)) == value


def test_nothing_to_be_kept_together_by() -> None:
    plan = Plan(sticky=("user",))
    assert find_sticky(plan.sticky, ask(plan)) is None
    form = ask(plan)
    assert form.route is not None
    form.route.body = object()
    assert find_sticky(plan.sticky, form) is None
    world = World()
    assert len({world.first(ask(plan)) for _ in range(50)}) == 3


def test_latency_explores_and_follows_a_change() -> None:
    world, exchange = World(), ask(Plan(by_latency=True))
    seconds = {"a": 0.1, "b": 1.0, "c": 1.0}

    def ask_often(times: int) -> Counter[str]:
        first: Counter[str] = Counter()
        for _ in range(times):
            chosen = world.chooser.order(exchange)[0]
            first[chosen.provider] += 1
            world.latencies.note(chosen, False, seconds[chosen.provider])
        return first

    ask_often(50)
    first = ask_often(1000)
    assert first["a"] > 800 and first["b"] > 10 and first["c"] > 10
    seconds.update(a=1.0, c=0.1)
    ask_often(300)
    assert ask_often(1000)["c"] > 800


def test_a_dead_target_is_left_out_and_probed_back_in() -> None:
    world, exchange = World(), ask(None)
    for _ in range(5):
        world.chooser.report(TARGETS[0], True)
    assert all("a" not in [t.provider for t in world.chooser.order(exchange)] for _ in range(50))
    world.clock.advance(5)
    firsts = [world.first(exchange) for _ in range(50)]
    assert firsts.count("a") == 1
    world.chooser.report(TARGETS[0], False)
    assert "a" in {world.first(exchange) for _ in range(50)}


def test_all_open_is_as_none_open() -> None:
    world, exchange = World(), ask(STICKY)
    for target in TARGETS:
        world.breakers.rest(target.provider)
    assert len(world.chooser.order(exchange)) == 3
    world.breakers.wake("b")
    assert world.first(exchange) == "b"
