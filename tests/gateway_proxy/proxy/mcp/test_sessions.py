"""Sessions of legacy clients prove themselves."""

import asyncio
from typing import Any

import pytest

from gateway_proxy.core.clock import Clock
from gateway_proxy.mcp.errors import McpError
from gateway_proxy.proxy.mcp.sessions import TTL_MS, Sessions
from gateway_proxy.proxy.run import Cut


class FakeClock(Clock):
    now = 1_800_000_000_000

    def now_ms(self) -> int:
        return self.now


class FakeRun:
    cut: Cut | None = None

    def end(self, cut: Cut) -> None:
        self.cut = cut


@pytest.fixture
def sessions() -> Sessions:
    return Sessions(b"k" * 32, FakeClock())


def refused(sessions: Sessions, id: str | None, key_id: str = "key_a", server: str = "new") -> int:
    with pytest.raises(McpError) as caught:
        sessions.find(id, key_id, server)
    return caught.value.status


def test_a_session_tells_its_revision_to_its_key_alone(sessions: Sessions) -> None:
    id = sessions.open("key_a", "new", "2025-06-18")
    assert sessions.find(id, "key_a", "new").version == "2025-06-18"
    assert id.isascii() and id.isprintable() and "=" not in id
    assert refused(sessions, id, "key_b") == refused(sessions, id, server="old") == 404
    assert refused(sessions, None) == 400


@pytest.mark.parametrize(
    ("declared", "remembered"),
    [
        (None, {}),
        ({"sampling": {}, "x": {}}, {"sampling": {}}),
        ({"elicitation": {"url": {}, "form": {}}}, {"elicitation": {"form": {}, "url": {}}}),
        (
            {"roots": {"listChanged": True}, "sampling": {"tools": {}}},
            {"roots": {"listChanged": True}, "sampling": {"tools": {}}},
        ),
        ({"roots": "yes", "sampling": None}, {}),
    ],
)
def test_it_remembers_what_its_client_can_be_asked(
    sessions: Sessions, declared: Any, remembered: Any
) -> None:
    id = sessions.open("key_a", "new", "2025-11-25", declared)
    assert sessions.find(id, "key_a", "new").capabilities == remembered


@pytest.mark.parametrize("place", [0, 14, 18, 24, 51])
def test_a_changed_id_is_unknown(sessions: Sessions, place: int) -> None:
    id = sessions.open("key_a", "new", "2025-11-25")
    changed = id[:place] + ("A" if id[place] != "A" else "B") + id[place + 1 :]
    assert refused(sessions, changed) == refused(sessions, id[:-1]) == refused(sessions, "ü") == 404


def test_another_gateway_of_the_installation_takes_it(sessions: Sessions) -> None:
    id = sessions.open("key_a", "", "2025-03-26")
    assert Sessions(b"k" * 32, FakeClock()).find(id, "key_a", "").id == id
    assert refused(Sessions(b"x" * 32, FakeClock()), id, server="") == 404


def test_it_ends_after_a_day() -> None:
    clock = FakeClock()
    sessions = Sessions(b"k" * 32, clock)
    id = sessions.open("key_a", "new", "2025-11-25")
    clock.now += TTL_MS
    assert sessions.find(id, "key_a", "new")
    clock.now += 1
    assert refused(sessions, id) == 404


def test_of_very_many_that_were_ended_the_oldest_are_forgotten(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway_proxy.proxy.mcp.sessions.MAX_ENDED", 2)
    ids = [sessions.open("key_a", "new", "2025-11-25") for _ in range(3)]
    for id in ids:
        sessions.end(sessions.find(id, "key_a", "new"))
    assert sessions.find(ids[0], "key_a", "new")
    assert refused(sessions, ids[1]) == refused(sessions, ids[2]) == 404


async def test_its_calls_can_be_cancelled_one_by_one_and_end_with_it(sessions: Sessions) -> None:
    session = sessions.find(sessions.open("key_a", "new", "2025-11-25"), "key_a", "new")
    runs: dict[Any, Any] = {id: FakeRun() for id in (1, "1", 2, 3)}
    for id, run in runs.items():
        sessions.begin(session, id, run)
    sessions.finish(session, 3, runs[3])
    for id in (1, 7, None, [1]):
        sessions.cancel(session, id)
    assert [run.cut for run in runs.values()] == [Cut.CANCELLED, None, None, None]
    sessions.end(session)
    await asyncio.sleep(0)
    assert [run.cut for run in runs.values()] == [Cut.CANCELLED] * 3 + [None]
    assert refused(sessions, session.id) == 404
