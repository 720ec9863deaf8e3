"""What systemd is told: the datagrams of sd_notify(3), from an environment as it makes one."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway_proxy.app.service_manager import ServiceManager


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(5)
        yield listener


def test_it_is_told_and_children_are_not(listener: socket.socket) -> None:
    environment = {"NOTIFY_SOCKET": listener.getsockname(), "HOME": "/"}
    ServiceManager(environment).tell("READY=1", "STATUS=Serving.")
    assert listener.recv(100) == b"READY=1\nSTATUS=Serving."
    assert environment == {"HOME": "/"}


def test_an_abstract_address() -> None:
    name = f"gateway-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + name)
        listener.settimeout(5)
        manager = ServiceManager({"NOTIFY_SOCKET": "@" + name})
        manager.tell_reloading()
        begin, _, micros = listener.recv(100).decode().partition("\nMONOTONIC_USEC=")
        assert begin == "RELOADING=1"
        assert int(micros) > 0


def test_nobody_is_no_fault(tmp_path: Path) -> None:
    ServiceManager({}).tell("READY=1")
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).tell("READY=1")


async def test_the_watchdog_hears_twice_in_its_time(listener: socket.socket) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": listener.getsockname(), "WATCHDOG_USEC": "20000"})
    telling = asyncio.create_task(manager.keep_alive())
    for _ in range(3):
        assert await asyncio.to_thread(listener.recv, 100) == b"WATCHDOG=1"
    telling.cancel()


@pytest.mark.parametrize("environment", [{}, {"WATCHDOG_USEC": "20000", "WATCHDOG_PID": "1"}])
async def test_no_watchdog_of_ours(listener: socket.socket, environment: dict[str, str]) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": listener.getsockname(), **environment})
    await asyncio.wait_for(manager.keep_alive(), 5)
