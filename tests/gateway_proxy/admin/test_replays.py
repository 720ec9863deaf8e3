"""Idempotency keys: done once, answered twice, sealed at rest."""

import asyncio
from dataclasses import replace

import pytest

from gateway_proxy.admin import replays
from gateway_proxy.admin.actor import Role
from gateway_proxy.admin.problem import Conflict, Invalid, TooMany
from gateway_proxy.admin.replays import ReplayGuard
from gateway_proxy.storage import open_store
from tests.support.admin import FOREIGN, PEPPER, actor_of

OWNER = actor_of(Role.OWNER)
SECRET = b'{"secret":"gwk_the-secret"}'


class Work:
    """Counts how often it is done."""

    def __init__(self, answer: bytes = SECRET) -> None:
        self.times = 0
        self.answer = answer

    async def __call__(self) -> bytes:
        self.times += 1
        return self.answer


@pytest.fixture
def guard(scene) -> ReplayGuard:
    return scene.admin.replays


async def test_the_same_request_is_done_once_and_answered_twice(guard) -> None:
    work = Work()
    assert await guard.once(OWNER, "one", b"asked", work) == (SECRET, False)
    assert await guard.once(OWNER, "one", b"asked", Work(b"other")) == (SECRET, True)
    assert work.times == 1
    assert await guard.once(OWNER, "two", b"asked", work) == (SECRET, False)


async def test_another_request_is_refused(guard) -> None:
    await guard.once(OWNER, "one", b"asked", Work())
    with pytest.raises(Invalid) as caught:
        await guard.once(OWNER, "one", b"asked differently", Work())
    assert [error.path for error in caught.value.errors] == ["Idempotency-Key"]


async def test_one_that_still_runs_is_a_conflict(guard) -> None:
    go, done = asyncio.Event(), asyncio.Event()

    async def slow() -> bytes:
        go.set()
        await done.wait()
        return SECRET

    first = asyncio.gather(guard.once(OWNER, "one", b"asked", slow))
    await go.wait()
    with pytest.raises(Conflict) as caught:
        await guard.once(OWNER, "one", b"asked", Work())
    assert caught.value.code == "still_running"
    done.set()
    assert await first == [(SECRET, False)]
    assert await guard.once(OWNER, "one", b"asked", Work()) == (SECRET, True)


async def test_many_at_once_are_done_once(guard) -> None:
    work = Work()
    answers = await asyncio.gather(
        *(guard.once(OWNER, "one", b"asked", work) for _ in range(10)), return_exceptions=True
    )
    assert work.times == 1
    assert all(isinstance(a, Conflict) or a[0] == SECRET for a in answers)


async def test_a_refusal_is_not_kept_but_a_fault_is_not_repeated(guard) -> None:
    async def refuse() -> bytes:
        raise Conflict("not now")

    async def break_off() -> bytes:
        raise OSError("gone")

    with pytest.raises(Conflict, match="not now"):
        await guard.once(OWNER, "one", b"asked", refuse)
    assert await guard.once(OWNER, "one", b"asked", Work()) == (SECRET, False)
    with pytest.raises(OSError, match="gone"):
        await guard.once(OWNER, "two", b"asked", break_off)
    with pytest.raises(Conflict, match="see what it did"):
        await guard.once(OWNER, "two", b"asked", Work())


@pytest.mark.parametrize(
    "other",
    [
        replace(OWNER, credential_id="another"),
        replace(OWNER, role=Role.VIEWER),
        replace(OWNER, organization=FOREIGN),
        actor_of(Role.OWNER, via="token"),
        actor_of(Role.ADMIN),
    ],
)
async def test_nobody_else_gets_the_answer(guard, other) -> None:
    await guard.once(OWNER, "one", b"asked", Work())
    assert await guard.once(other, "one", b"asked", Work(b"theirs")) == (b"theirs", False)


async def test_ten_minutes_later_it_is_a_new_request(guard, scene) -> None:
    await guard.once(OWNER, "one", b"asked", Work())
    scene.clock.advance(599)
    assert (await guard.once(OWNER, "one", b"asked", Work()))[1]
    scene.clock.advance(1)
    assert not (await guard.once(OWNER, "one", b"asked", Work()))[1]


async def test_it_survives_a_restart_and_the_store_alone_opens_nothing(guard, scene, tmp_path) -> None:
    await guard.once(OWNER, "guess-me", b"asked", Work())
    at_rest = b"".join(path.read_bytes() for path in tmp_path.glob("gateway.db*"))
    assert b"gwk_the-secret" not in at_rest
    assert b"guess-me" not in at_rest
    again = await open_store(f"sqlite:{tmp_path}/gateway.db", clock=scene.clock)
    try:
        restarted = ReplayGuard(again.replays, scene.clock, PEPPER)
        assert await restarted.once(OWNER, "guess-me", b"asked", Work()) == (SECRET, True)
        other_pepper = ReplayGuard(again.replays, scene.clock, b"another pepper")
        assert await other_pepper.once(OWNER, "guess-me", b"asked", Work(b"new")) == (b"new", False)
        await again.db.execute("UPDATE replays SET sealed = $1 WHERE sealed <> ''", "A" * 80)
        with pytest.raises(Conflict, match="cannot be read"):
            await restarted.once(OWNER, "guess-me", b"asked", Work())
    finally:
        await again.close()


@pytest.mark.parametrize("value", ["", " ", "a b", "é", "x" * 256, "a\x00"])
async def test_odd_values_are_refused(guard, value: str) -> None:
    with pytest.raises(Invalid):
        await guard.once(OWNER, value, b"asked", Work())


async def test_nobody_fills_the_store(guard, monkeypatch) -> None:
    monkeypatch.setattr(replays, "MOST_PER_ACTOR", 2)
    for number in range(2):
        await guard.once(OWNER, str(number), b"asked", Work())
    with pytest.raises(TooMany):
        await guard.once(OWNER, "2", b"asked", Work())
    assert (await guard.once(OWNER, "1", b"asked", Work()))[1]
