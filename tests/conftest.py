"""For every test: only loopback is reachable, and under `GATEWAY_REQUIRE_ALL=1` a skipped test is a failed one."""

import gc
import ipaddress
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest_plugins = (
    "tests.support.dashboard",
    "tests.support.fake_provider",
    "tests.support.gateway",
    "tests.support.plugins",
    "tests.support.postgres",
    "tests.support.redis",
)

# Tests keep all cores busy themselves, and the admin process would wait for an idle one.
os.environ.setdefault("GATEWAY_PROXY_ADMIN_PRIORITY", "low")
if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    and threading.current_thread() is threading.main_thread()
):
    # A shell's background job ignores interrupts, and so would every process that a test starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
_REQUIRE_ALL = os.environ.get("GATEWAY_REQUIRE_ALL") == "1"


def is_local(address: Any) -> bool:
    """Whether a socket address stays on this machine: a Unix socket, `localhost` or a loopback address."""
    if not isinstance(address, tuple):
        return True
    host = address[0]
    try:
        return host == "localhost" or ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _guard(name: str) -> Callable[..., Any]:
    original = getattr(socket.socket, name)

    def guarded(self: socket.socket, *arguments: Any) -> Any:
        if not is_local(arguments[-1]):
            pytest.fail(f"a test tried to reach {arguments[-1]!r}; tests reach loopback only")
        return original(self, *arguments)

    return guarded


@pytest.fixture(scope="session", autouse=True)
def only_loopback() -> Iterator[None]:
    """Sockets made in this process refuse every peer beyond loopback. uvloop's own ones are out of its reach."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex", "sendto"):
            patch.setattr(socket.socket, name, _guard(name))
        yield


def _refuse_skip(report: Any) -> Any:
    if _REQUIRE_ALL and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} was skipped, and here nothing may be: {report.longrepr}"
    return report


def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end: the garbage collector need not walk it again and again."""
    gc.freeze()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    return _refuse_skip((yield))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    return _refuse_skip((yield))
