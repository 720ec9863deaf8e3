"""What a process knows of the others of its gateway, and what it hears on its line."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway_proxy.app.handing import hand_over, take_handed
from gateway_proxy.app.part import (
    VARIABLE,
    Part,
    PartPlace,
    State,
    find_place,
    pack,
    read_message,
)
from gateway_proxy.app.site_line import write_frame
from gateway_proxy.app.site_process import SiteDown
from tests.support.waiting import until


class Line:
    """The supervisor's end."""

    def __init__(self, part: Part) -> None:
        self.part = part

    async def join(self, number: int) -> "Line":
        line, theirs = socket.socketpair()
        self.door, their_door = socket.socketpair()
        self.door.setblocking(False)
        place = PartPlace(number, 3, os.dup(theirs.fileno()), os.dup(their_door.fileno()))
        theirs.close()
        their_door.close()
        self.reader, self.writer = await asyncio.open_unix_connection(sock=line)
        await self.part.join(place)
        return self

    def say(self, what: str, value: Any = None) -> None:
        write_frame(self.writer, pack((what, value)))

    async def close(self) -> None:
        self.writer.close()
        self.door.close()
        while self.part.is_led:
            await asyncio.sleep(0.001)
        if self.part._door is not None:
            asyncio.get_running_loop().remove_reader(self.part._door)
            self.part._door.close()


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    line = await Line(Part()).join(1)
    yield line
    await line.close()


async def test_alone_it_is_all_there_is(tmp_path: Path) -> None:
    part = Part()
    part.on_samples = lambda: {"x": {}}
    part.tell_state(3, [])
    part.tell_ready()
    await part.tell_again(lambda: None)
    assert part.is_first and not part.is_led
    assert part.floor(7) == 7
    assert part.problems() == []
    assert part.books_id("gtw_1") == "gtw_1"
    assert part.spool_folder(tmp_path) == tmp_path / "spool"
    assert await part.gather_samples() == [{"x": {}}]


async def test_the_others_hold_a_change_back_and_their_problems_are_ours(line: Line, tmp_path: Path) -> None:
    line.say("others", {0: State(5), 1: State(1), 2: State(9, ("the disk is full",))})
    await until(lambda: line.part.others)
    assert line.part.floor(8) == 5
    assert line.part.floor(4) == 4
    assert line.part.problems() == ["worker 2: the disk is full"]
    assert line.part.books_id("gtw_1") == "gtw_1/1"
    assert line.part.spool_folder(tmp_path) == tmp_path / "spool-1"
    assert line.part.describe() == {"answering": 1, "serving": 3, "configured": 3}


async def test_it_tells_news_once(line: Line) -> None:
    for problems in ([], [], ["x"]):
        line.part.tell_state(4, problems)
    line.part.tell_ready()
    heard = [await read_message(line.reader) for _ in range(3)]
    assert heard == [("state", State(4)), ("state", State(4, ("x",))), ("ready", None)]


async def test_the_metrics_of_all_come_from_the_supervisor(line: Line) -> None:
    line.part.on_samples = lambda: "mine"
    asking = [asyncio.create_task(line.part.gather_samples()) for _ in range(2)]
    assert await read_message(line.reader) == ("gather", None)
    line.say("sample", 7)
    assert await read_message(line.reader) == ("samples", (7, "mine"))
    line.say("gathered", ["all"])
    assert await asyncio.gather(*asking) == [["all"], ["all"]]


async def test_orders_and_the_end_of_the_supervisor(line: Line) -> None:
    stops: list[bool] = []
    reloads: list[None] = []
    line.part.on_stop = lambda: stops.append(line.part.hands_over)
    line.part.on_reload = lambda: reloads.append(None)
    line.say("reload")
    line.say("stop", True)
    line.say("stop", False)  # of all of them now: what it was told already it does
    line.say("force")
    await until(lambda: len(stops) == 2)
    assert (stops, len(reloads), line.part.hands_over) == ([True, False], 1, False)
    line.writer.close()
    await until(lambda: len(stops) == 3)
    assert not line.part.is_led


async def test_a_visitor_of_the_admin_process_goes_through_the_door(line: Line) -> None:
    ours = await line.part.connect_site()
    [theirs] = take_handed(line.door) or []
    theirs.sendall(b"hello")
    assert await asyncio.get_running_loop().sock_recv(ours, 10) == b"hello"
    ours.close()
    theirs.close()
    assert take_handed(line.door) == []
    line.door.close()
    with pytest.raises(SiteDown):
        await line.part.connect_site()


async def test_the_first_part_lets_visitors_in() -> None:
    line = await Line(Part()).join(0)
    visitors: list[socket.socket] = []
    line.part.on_visitor = visitors.append
    ours, theirs = socket.socketpair()
    hand_over(line.door, theirs)
    await until(lambda: visitors)
    for one in (ours, theirs, *visitors):
        one.close()
    await line.close()


def test_the_place_is_found_once() -> None:
    environment = {VARIABLE: '{"number":2,"count":4,"line":5,"door":6,"sockets":{"listen":[3]}}'}
    assert find_place(environment) == PartPlace(2, 4, 5, 6, {"listen": [3]})
    assert find_place(environment) is None
