"""Directives: what is understood, what is refused."""

import pytest

from gateway_proxy.fake_provider.behaviour import (
    HONEST,
    Behaviour,
    BehaviourError,
    choose_behaviour,
    parse_behaviour,
)


def test_a_directive_in_the_prompt_is_read() -> None:
    behaviour = choose_behaviour("m", "hello [[fake: mode=buffers tokens=50 delay_ms=2.5]] there", HONEST)
    assert behaviour == Behaviour(mode="buffers", tokens=50, delay_ms=2.5)


def test_the_prompt_wins_over_the_model_name_and_that_over_the_default() -> None:
    default = Behaviour(mode="no_usage")
    assert choose_behaviour("m+mode=slow", "[[fake: mode=cut]]", default).mode == "cut"
    assert choose_behaviour("m+mode=slow+tokens=9", "hello", default) == Behaviour(mode="slow", tokens=9)
    assert choose_behaviour("m", "hello", default) is default


def test_a_plus_in_a_model_name_is_not_a_directive_by_itself() -> None:
    assert choose_behaviour("command-r+", "hello", HONEST) is HONEST
    assert choose_behaviour("a+b", "hello", HONEST) is HONEST


def test_a_url_survives() -> None:
    assert choose_behaviour("m", "[[fake: mode=redirect to=http://127.0.0.1:1/a?b=c]]", HONEST).to.endswith(
        "?b=c"
    )


@pytest.mark.parametrize(
    ("directive", "hint"),
    [
        ("mode=nice", "mode=nice is unknown"),
        ("colour=red", "'colour' is unknown"),
        ("tokens=many", "tokens=many is not a number"),
        ("tokens=-1", "out of range"),
        ("delay_ms=nan", "out of range"),
        ("tokens", "write name=value"),
        ("phase=tail", "use one of head, body"),
    ],
)
def test_a_malformed_directive_says_what_is_wrong(directive: str, hint: str) -> None:
    with pytest.raises(BehaviourError, match=hint):
        choose_behaviour("m", f"[[fake: {directive}]]", HONEST)


def test_modes_bring_their_own_sizes() -> None:
    assert parse_behaviour({"mode": "buffers"}).size == 2048
    assert parse_behaviour({"mode": "cut"}).size == 0
    assert parse_behaviour({"mode": "cut", "bytes": 7}).size == 7
    assert parse_behaviour({"mode": "gzip_bomb"}).size_megabytes == 200
    assert parse_behaviour({"mode": "slow"}).delay_seconds == 0.1
    assert parse_behaviour({"mode": "slow", "delay_ms": 0}).delay_seconds == 0
