"""An interrupt cancels the work and is told once the loop is closed, whenever it comes."""

import asyncio
import signal
import threading

import pytest

from gateway_proxy.app.interrupts import run_to_interrupt


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def default_handler():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


class InterruptedLoop(asyncio.SelectorEventLoop):
    """Interrupted while it is made, or while it is closed."""

    when = ""

    def __init__(self) -> None:
        super().__init__()
        if self.when == "made":
            interrupt()

    def close(self) -> None:
        if self.when == "closing":
            interrupt()
        super().close()
        if self.when == "closed":
            interrupt()


def test_work_is_done_without() -> None:
    async def work() -> int:
        return 5

    assert run_to_interrupt(work()) == 5


def test_waiting_work_is_cancelled_and_may_close_what_it_holds() -> None:
    steps: list[str] = []

    async def work() -> None:
        asyncio.get_running_loop().call_soon(interrupt)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            steps.append("closed")

    with pytest.raises(KeyboardInterrupt):
        run_to_interrupt(work())
    assert steps == ["closed"]


@pytest.mark.parametrize(("when", "begins"), [("made", False), ("closing", True), ("closed", True)])
def test_around_the_work(when: str, begins: bool, monkeypatch, capfd) -> None:
    monkeypatch.setattr(InterruptedLoop, "when", when)
    begun: list[InterruptedLoop] = []

    async def work() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, InterruptedLoop)
        begun.append(loop)

    with pytest.raises(KeyboardInterrupt):
        run_to_interrupt(work(), InterruptedLoop)
    assert bool(begun) == begins
    assert all(loop.is_closed() for loop in begun)
    assert capfd.readouterr() == ("", "")


def test_the_second_ends_the_process(monkeypatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr("os._exit", ended.append)

    async def work() -> None:
        interrupt()
        interrupt()

    with pytest.raises(KeyboardInterrupt):
        run_to_interrupt(work())
    assert ended == [130]


def test_interrupts_that_are_ignored_stay_so() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    async def work() -> int:
        interrupt()
        return 5

    assert run_to_interrupt(work()) == 5
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_another_thread_has_its_loop_too() -> None:
    done: list[int] = []

    async def work() -> None:
        done.append(5)

    thread = threading.Thread(target=lambda: run_to_interrupt(work()))
    thread.start()
    thread.join()
    assert done == [5]
