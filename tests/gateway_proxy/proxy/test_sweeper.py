"""What is due for a running exchange, and when."""

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from gateway_proxy.proxy import sweeper
from gateway_proxy.proxy.run import Cut
from gateway_proxy.proxy.sweeper import KEEP_ALIVE_COMMENT, Sweeper, look_after
from tests.support.exchanges import make_exchange, make_policy


class FakeRun(SimpleNamespace):
    """As much of a run as the sweeper touches; `done` says what it did."""

    def __init__(self, **members: Any) -> None:
        super().__init__(
            exchange=make_exchange(make_policy()), request=None, drains=False, streaming=True, started_at=0.0, gone_at=0.0, answer=None, tap=None,
            early_head=None, last_write_at=0.0, paused_since=0.0, is_client_gone=False, done=[],
        )  # fmt: skip
        self.__dict__.update(members)

    __hash__ = object.__hash__

    def end(self, cut: Cut) -> None:
        self.done.append(cut)


def answer(run: FakeRun, *, paused: bool = False) -> SimpleNamespace:
    return SimpleNamespace(
        is_started=True,
        is_paused=paused,
        send=run.done.append,
        abort=lambda: run.done.append("abort"),
        start_now=lambda request: run.done.append("head"),
    )


def test_a_client_that_left_is_drained_or_not() -> None:
    run = FakeRun(is_client_gone=True)
    look_after(run, 5.0)  # type: ignore[arg-type]
    assert run.done == [Cut.CLIENT_GONE]
    run = FakeRun(is_client_gone=True, drains=True)
    for now in (5.0, 34.9, 35.1):
        look_after(run, now)  # type: ignore[arg-type]
    assert run.gone_at == 5.0 and run.done == [Cut.CLIENT_GONE]


def test_the_head_waits_ten_seconds() -> None:
    run = FakeRun()
    run.early_head = answer(run)
    look_after(run, 9.9)  # type: ignore[arg-type]
    assert run.done == []
    look_after(run, 10.1)  # type: ignore[arg-type]
    assert run.done == ["head"] and run.answer is not None and run.early_head is None


@pytest.mark.parametrize(("boundary", "expected"), [(True, [KEEP_ALIVE_COMMENT]), (False, [])])
def test_comments_only_between_events(boundary: bool, expected: list[bytes]) -> None:
    run = FakeRun(tap=SimpleNamespace(at_event_boundary=lambda: boundary))
    run.answer = answer(run)
    for now in (14.9, 15.1, 15.2):
        look_after(run, now)  # type: ignore[arg-type]
    assert run.done == expected


def test_no_comments_in_a_document() -> None:
    run = FakeRun(streaming=False)
    run.answer = answer(run)
    look_after(run, 100.0)  # type: ignore[arg-type]
    assert run.done == []


def test_who_does_not_read_is_cut() -> None:
    run = FakeRun()
    run.answer = answer(run, paused=True)
    for now in (1.0, 60.9, 61.1):
        look_after(run, now)  # type: ignore[arg-type]
    assert run.done == ["abort"]


async def test_a_fault_with_one_leaves_the_others_in_care(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sweeper, "SWEEP_SECONDS", 0.001)

    keeper = Sweeper()
    bad, good = FakeRun(), FakeRun(is_client_gone=True)
    bad.answer = SimpleNamespace(is_started=True, is_paused=False)  # no `send`: an AttributeError
    bad.last_write_at = -1e9
    with caplog.at_level(logging.CRITICAL):
        keeper.add(bad)  # type: ignore[arg-type]
        keeper.add(good)  # type: ignore[arg-type]
        await asyncio.sleep(0.02)
    assert good.done == [Cut.CLIENT_GONE] and Cut.SHUTDOWN in bad.done
    keeper.remove(bad)  # type: ignore[arg-type]
    keeper.remove(good)  # type: ignore[arg-type]
    await asyncio.sleep(0.01)
    assert keeper._timer is None  # no timer without work


def test_keys_are_ended_with_their_children() -> None:
    keeper = Sweeper()
    mine = FakeRun(exchange=make_exchange(make_policy(id="a")))
    child = FakeRun(exchange=make_exchange(make_policy(id="b", parent_id="a")))
    other = FakeRun(exchange=make_exchange(make_policy(id="c")))
    keeper.runs |= {mine, child, other}  # type: ignore[arg-type]
    keeper.end_key(frozenset({"a"}))
    assert (mine.done, child.done, other.done) == ([Cut.REVOKED], [Cut.REVOKED], [])
    keeper.end_all()
    assert other.done == [Cut.SHUTDOWN]
