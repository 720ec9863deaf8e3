"""Legacy sessions at servers that belong to one client's session each: where state or questions must not be shared.

A client that can be asked (for a sample of its model, for input of its user, for its roots), or that sets a log level or
subscribes to a resource, gets a session of its own at the server; all others share the gateway's. Promises: a server's
question reaches the client whose call it belongs to and nobody else, only if that client said that it can be asked, and
only that client's session can answer it, once. Source: MCP 2025-11-25, client/sampling, elicitation, roots.
"""

import asyncio
import itertools
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field

from gateway_proxy.core.errors import UpstreamFailed
from gateway_proxy.core.tasks import spawn, wait_for_event
from gateway_proxy.mcp.message import Id, Message
from gateway_proxy.proxy.mcp.channel import answer_server
from gateway_proxy.proxy.mcp.link import Link, Peer
from gateway_proxy.proxy.mcp.sessions import Session

MAX_SESSIONS = 5_000
MAX_WAITING = 64
AUDIBLE_SECONDS = 2.0
SESSION_METHODS = frozenset(("logging/setLevel", "resources/subscribe", "resources/unsubscribe"))
"""What changes the state of a session at a server."""
_NEEDS = {"sampling/createMessage": "sampling", "elicitation/create": "elicitation", "roots/list": "roots"}
_Key = tuple[str, str]
Outlet = Callable[[str, Link, Peer, Message], None]


@dataclass(slots=True)
class _Own:
    link: Link
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    peer: Peer | None = None
    hearing: asyncio.Task[None] | None = None
    audible: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: deque[Message] = field(default_factory=lambda: deque(maxlen=MAX_WAITING))
    has_none: bool = False  # the server has no sessions


@dataclass(frozen=True, slots=True)
class _Question:
    link: Link
    peer: Peer
    id: Id


class OwnSessions:
    """One per gateway. The ones that were not used for longest are ended where there are too many."""

    def __init__(self) -> None:
        self._own: OrderedDict[_Key, _Own] = OrderedDict()  # (client's session, server)
        self._questions: dict[str, dict[str, _Question]] = {}  # client's session → our id
        self._ids = itertools.count(1)
        self._outlets: dict[str, Outlet] = {}  # client's session → its GET

    async def peer(self, session: Session, server: str, link: Link, shared: Peer, method: str) -> Peer:
        """The client's own agreement with the server where it has or needs one, else the shared. Raises UpstreamFailed."""
        key = (session.id, server)
        own = self._own.get(key)
        if own is not None and own.link is not link:  # the settings changed meanwhile
            own = None
        if own is None:
            if not (session.capabilities or method in SESSION_METHODS):
                return shared
            own = self._own[key] = _Own(link)
            self._make_room()
        self._own.move_to_end(key)
        async with own.lock:
            if own.peer is None and not own.has_none:
                own.peer = await link.open_session(session.capabilities)
                own.has_none = own.peer is None
                if own.peer is not None:
                    own.hearing = spawn(self._hear(key, own, own.peer), f"mcp session at {server}")
                    # What it asks at once must not be missed.
                    await wait_for_event(own.audible, AUDIBLE_SECONDS)
        return own.peer or shared

    def attach(self, session: Session, outlet: Outlet) -> Callable[[], None]:
        """From here on the outlet is given what servers say beside calls, first what waits; until the answer is called."""
        self._outlets[session.id] = outlet
        for (id, server), own in self._own.items():
            while id == session.id and own.waiting and own.peer is not None:
                outlet(server, own.link, own.peer, own.waiting.popleft())

        def detach() -> None:
            if self._outlets.get(session.id) is outlet:
                del self._outlets[session.id]

        return detach

    def forget(self, session: Session, server: str, peer: Peer) -> None:
        """The server has forgotten it; the next call makes another."""
        own = self._own.get((session.id, server))
        if own is not None and own.peer is peer:
            own.peer = None
            own.audible.clear()
            if own.hearing is not None:
                own.hearing.cancel()

    def close(self) -> None:
        """Stops listening: the links end everything."""
        for own in self._own.values():
            if own.hearing is not None:
                own.hearing.cancel()

    def end(self, session: Session) -> None:
        """The client's session has ended."""
        for key in [key for key in self._own if key[0] == session.id]:
            self._farewell(self._own.pop(key))
        self._questions.pop(session.id, None)

    def pose(self, session: Session, link: Link, peer: Peer, question: Message) -> Message | None:
        """The server's question as the client is asked it; None where it must not be, and then the server is told."""
        needed = _NEEDS.get(question.method)
        if question.id is None or needed is None or needed not in session.capabilities:
            spawn(_reply(link, peer, answer_server(question)), "mcp refusal")
            return None
        id = f"gateway-{next(self._ids)}"
        self._questions.setdefault(session.id, {})[id] = _Question(link, peer, question.id)
        return Message("request", id, question.method, question.params)

    def withdraw(self, session: Session, ids: list[Id]) -> None:
        """The call has ended; answers to its questions have nowhere to go."""
        asked = self._questions.get(session.id, {})
        for id in ids:
            asked.pop(str(id), None)
        if not asked:
            self._questions.pop(session.id, None)

    async def answer(self, session: Session, answer: Message) -> None:
        """Hand a client's answer to the server that asked; one that nobody waits for is dropped."""
        asked = self._questions.get(session.id, {})
        question = asked.pop(answer.id, None) if isinstance(answer.id, str) else None
        if question is not None:
            await _reply(
                question.link, question.peer, Message("response", question.id, outcome=answer.outcome)
            )

    async def _hear(self, key: _Key, own: _Own, peer: Peer) -> None:
        try:
            with suppress(UpstreamFailed):
                async with aclosing(own.link.session_messages(peer)) as messages:
                    async for message in messages:
                        own.audible.set()
                        if message is None:
                            continue
                        outlet = self._outlets.get(key[0])
                        if outlet is None:
                            own.waiting.append(message)
                        else:
                            outlet(key[1], own.link, peer, message)
        finally:
            own.audible.set()

    def _make_room(self) -> None:
        while len(self._own) > MAX_SESSIONS:
            self._farewell(self._own.popitem(last=False)[1])

    @staticmethod
    def _farewell(own: _Own) -> None:
        if own.hearing is not None:
            own.hearing.cancel()
        if own.peer is not None:
            spawn(own.link.end(own.peer), "end a session at an MCP server")


async def _reply(link: Link, peer: Peer, answer: Message) -> None:
    with suppress(UpstreamFailed):  # whoever asked has gone
        await link.reply(peer, answer)
