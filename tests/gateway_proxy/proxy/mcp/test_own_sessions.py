"""Sessions at servers that are one client's alone."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import pytest

from gateway_proxy.core.tasks import drain
from gateway_proxy.mcp.message import Message
from gateway_proxy.proxy.mcp import own_sessions as module
from gateway_proxy.proxy.mcp.link import Peer
from gateway_proxy.proxy.mcp.own_sessions import OwnSessions
from gateway_proxy.proxy.mcp.sessions import Session

SHARED = Peer("2025-11-25", "shared")
ABLE = Session("able", "2025-11-25", {"sampling": {}})
OTHER = Session("other", "2025-11-25", {"sampling": {}})
PLAIN = Session("plain", "2025-11-25")
SAMPLE = Message("request", 7, "sampling/createMessage", {"messages": []})


class FakeLink:
    """Opens a session each time, unless it has none."""

    def __init__(self, *, has_sessions: bool = True) -> None:
        self.has_sessions = has_sessions
        self.opened: list[Mapping[str, Any]] = []
        self.ended: list[Peer] = []
        self.replies: list[Message] = []
        self.says: asyncio.Queue[Message] = asyncio.Queue()

    async def open_session(self, capabilities: Mapping[str, Any]) -> Peer | None:
        self.opened.append(capabilities)
        return Peer("2025-11-25", f"own{len(self.opened)}", is_own=True) if self.has_sessions else None

    async def reply(self, peer: Peer, answer: Message) -> None:
        self.replies.append(answer)

    async def end(self, peer: Peer) -> None:
        self.ended.append(peer)

    async def session_messages(self, peer: Peer) -> AsyncGenerator[Message | None, None]:
        yield None
        while True:
            yield await self.says.get()


async def find(own: OwnSessions, session: Session, link: Any, method: str = "tools/call") -> Peer:
    return await own.peer(session, "s", link, SHARED, method)


async def test_only_a_client_that_needs_one_has_its_own() -> None:
    own, link = OwnSessions(), FakeLink()
    assert await find(own, PLAIN, link) is SHARED and link.opened == []
    first, second = await asyncio.gather(find(own, ABLE, link), find(own, ABLE, link))
    assert first is second and first.is_own and link.opened == [{"sampling": {}}]
    assert (await find(own, OTHER, link)) is not first
    assert (await find(own, PLAIN, link, "logging/setLevel")).is_own
    assert (await find(own, PLAIN, link)).is_own, "what was set must hold for what follows"
    own.end(ABLE)
    own.close()
    await drain(1)
    assert link.ended == [first]


async def test_a_server_without_sessions_is_asked_once() -> None:
    own, link = OwnSessions(), FakeLink(has_sessions=False)
    assert await find(own, ABLE, link) is SHARED and await find(own, ABLE, link) is SHARED
    assert len(link.opened) == 1


async def test_a_forgotten_one_is_made_anew() -> None:
    own, link = OwnSessions(), FakeLink()
    first = await find(own, ABLE, link)
    own.forget(ABLE, "s", first)
    assert (await find(own, ABLE, link)) is not first
    own.close()


async def test_a_question_is_answered_once_and_by_its_own_session_only() -> None:
    own, link = OwnSessions(), FakeLink()
    peer = await find(own, ABLE, link)
    any_link: Any = link
    posed = own.pose(ABLE, any_link, peer, SAMPLE)
    assert posed is not None and posed.method == "sampling/createMessage" and posed.id != 7
    answer = Message("response", posed.id, outcome={"result": {"model": "m"}})
    await own.answer(OTHER, answer)
    assert link.replies == []
    await own.answer(ABLE, answer)
    await own.answer(ABLE, answer)
    assert [(reply.id, reply.outcome) for reply in link.replies] == [(7, {"result": {"model": "m"}})]
    again = own.pose(ABLE, any_link, peer, SAMPLE)
    assert again is not None and again.id is not None
    own.withdraw(ABLE, [again.id])
    await own.answer(ABLE, Message("response", again.id, outcome={"result": {}}))
    assert len(link.replies) == 1
    own.close()


@pytest.mark.parametrize("method", ["elicitation/create", "roots/list", "tools/call", "anything"])
async def test_what_the_client_did_not_offer_is_refused_for_it(method: str) -> None:
    own, link = OwnSessions(), FakeLink()
    peer = await find(own, ABLE, link)
    any_link: Any = link
    assert own.pose(ABLE, any_link, peer, Message("request", "q", method)) is None
    own.close()
    await drain(1)
    assert [(reply.id, (reply.outcome or {})["error"]["code"]) for reply in link.replies] == [("q", -32601)]


async def test_what_is_said_beside_calls_waits_for_the_clients_get() -> None:
    own, link = OwnSessions(), FakeLink()
    await find(own, ABLE, link)
    link.says.put_nowait(SAMPLE)
    heard: asyncio.Queue[str] = asyncio.Queue()
    await asyncio.sleep(0)
    detach = own.attach(ABLE, lambda server, link, peer, message: heard.put_nowait(message.method))
    link.says.put_nowait(Message("notification", None, "notifications/message"))
    async with asyncio.timeout(2):
        assert [await heard.get(), await heard.get()] == ["sampling/createMessage", "notifications/message"]
    detach()
    own.close()


async def test_there_are_not_more_than_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SESSIONS", 1)
    own, link = OwnSessions(), FakeLink()
    first = await find(own, ABLE, link)
    await find(own, OTHER, link)
    own.close()
    await drain(1)
    assert link.ended == [first]
