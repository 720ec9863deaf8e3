"""Discovery over servers of which some hang, lie or forget."""

import asyncio
from dataclasses import replace

import pytest

from gateway_proxy.core.errors import UpstreamFailed
from gateway_proxy.core.tasks import drain
from gateway_proxy.mcp.catalogue import Offer
from gateway_proxy.proxy.mcp import discovery as module
from gateway_proxy.proxy.mcp.discovery import Discovery
from gateway_proxy.proxy.mcp.link import Peer, SessionEnded
from tests.support.mcp_link import FakeLink
from tests.support.waiting import until


async def test_one_that_hangs_delays_nobody_and_its_late_answer_is_kept() -> None:
    slow, quick = FakeLink([{"name": "s"}]), FakeLink([{"name": "q"}])
    slow.open.clear()
    discovery = Discovery({"slow": slow, "quick": quick})
    await discovery.refresh(0.02)
    await discovery.refresh(0.02)
    assert slow.asked == 1  # still the same question
    assert (
        list(discovery.catalogue["quick"].things("tools")) == ["q"]
        and not discovery.catalogue["quick"].problem
    )
    assert "in time" in discovery.catalogue["slow"].problem
    slow.open.set()
    await drain(1)
    assert (
        list(discovery.catalogue["slow"].things("tools")) == ["s"] and not discovery.catalogue["slow"].problem
    )


async def test_what_was_offered_last_stays() -> None:
    link = FakeLink([{"name": "x"}])
    discovery = Discovery({"a": link})
    await discovery.refresh()
    link.error = UpstreamFailed("The MCP server broke off.")
    await discovery.refresh()
    offer = discovery.catalogue["a"]
    assert list(offer.things("tools")) == ["x"] and offer.problem == "The MCP server broke off."


async def test_a_session_that_has_ended_is_made_anew_once() -> None:
    link = FakeLink([{"name": "x"}], error=SessionEnded("ended"))
    discovery = Discovery({"a": link})
    await discovery.refresh()
    assert link.connected == 2 and not discovery.catalogue["a"].problem
    assert (await discovery.peer("a")).session_id == "2"


async def test_no_servers() -> None:
    discovery = Discovery({})
    await discovery.refresh()
    assert discovery.catalogue == {}


async def wait_for_tools(discovery: Discovery, *names: str) -> None:
    async with asyncio.timeout(2):
        while list(discovery.catalogue["a"].things("tools")) != list(names):
            await asyncio.sleep(0.005)


async def test_news_of_a_change_make_it_ask_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CALM_SECONDS", 0.01)
    link = FakeLink([{"name": "x"}])
    discovery = Discovery({"a": link})
    await discovery.refresh()
    discovery.watch()
    link.pages = ([{"name": "y"}],)
    link.news.set()
    await wait_for_tools(discovery, "y")
    await discovery.close()


async def test_one_that_dies_is_connected_to_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 0.01)
    link = FakeLink([{"name": "x"}])
    discovery = Discovery({"a": link})
    discovery.watch()
    await discovery.refresh()
    link.error = SessionEnded("ended")
    link.news.set()
    async with asyncio.timeout(2):
        while link.connected < 2:
            await asyncio.sleep(0.005)
    await discovery.close()


async def test_all_who_need_an_agreement_at_once_make_one() -> None:
    link = FakeLink([])
    discovery = Discovery({"a": link})
    leaving, *staying = (asyncio.ensure_future(discovery.peer("a")) for _ in range(3))
    await asyncio.sleep(0)
    leaving.cancel()
    assert {(await one).session_id for one in staying} == {"1"} and link.connected == 1
    assert discovery.known_peer("a") is not None


async def test_a_call_may_be_refused_and_a_question_not() -> None:
    def check(server: str) -> None:
        raise UpstreamFailed("left alone")

    discovery = Discovery({"a": FakeLink([{"name": "x"}])}, check=check)
    with pytest.raises(UpstreamFailed, match="left alone"):
        await discovery.peer("a")
    await discovery.refresh()
    assert list(discovery.catalogue["a"].things("tools")) == ["x"]


async def test_what_may_be_offered_is_judged_each_time_and_again() -> None:
    hidden = {"x"}

    def judge(offer: Offer) -> Offer:
        tools = {name: tool for name, tool in offer.things("tools").items() if name not in hidden}
        return replace(offer, lists={"tools": tools})

    discovery = Discovery({"a": FakeLink([{"name": "x"}, {"name": "y"}])}, judge=judge)
    await discovery.refresh()
    assert list(discovery.catalogue["a"].things("tools")) == ["y"]
    hidden.clear()
    discovery.judge_again()
    assert list(discovery.catalogue["a"].things("tools")) == ["x", "y"]


async def test_a_new_revision_keeps_what_is_known_of_the_same_links() -> None:
    same = FakeLink([{"name": "x"}])
    before = Discovery({"a": same, "b": FakeLink([{"name": "z"}])})
    await before.refresh()
    after = Discovery({"a": same, "b": FakeLink([])}, before)
    assert list(after.catalogue["a"].things("tools")) == ["x"] and after.catalogue["b"].problem
    await after.peer("a")
    assert same.connected == 1


async def test_one_that_failed_is_asked_again_ever_more_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    really_sleep = asyncio.sleep

    class Failing(FakeLink):
        async def connect(self) -> Peer:
            if len(pauses) < 8:
                raise UpstreamFailed("The MCP server is gone.")
            return await super().connect()

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await really_sleep(0)

    monkeypatch.setattr(module.asyncio, "sleep", sleep)
    discovery = Discovery({"a": Failing([{"name": "x"}])})
    await discovery.refresh()
    assert discovery.catalogue["a"].problem == "The MCP server is gone."
    async with asyncio.timeout(5):
        while discovery._retrying:
            await really_sleep(0)
    assert list(discovery.catalogue["a"].things("tools")) == ["x"] and not discovery.catalogue["a"].problem
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]


async def test_nobody_is_asked_again_once_it_is_closed() -> None:
    link = FakeLink([{"name": "x"}], error=UpstreamFailed("The MCP server is gone."))
    discovery = Discovery({"a": link})
    await discovery.refresh()
    assert discovery._retrying
    await discovery.close()
    assert not discovery._retrying and link.asked == 1


async def test_a_call_that_failed_makes_it_ask_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CALM_SECONDS", 0.01)
    link = FakeLink([{"name": "x"}])
    discovery = Discovery({"a": link})
    await discovery.refresh()
    link.error = UpstreamFailed("The MCP server is gone.")
    for _ in range(3):
        discovery.doubt("a")
    await until(lambda: discovery.catalogue["a"].problem)
    assert discovery._retrying
    discovery.doubt("a")
    assert not discovery._asking, "it is asked again anyway"
    await discovery.close()
    asked = link.asked
    discovery.doubt("a")
    assert not discovery._asking and link.asked == asked
