"""`python -m gateway_proxy.fake_provider`: the fake provider as a process of its own, on 127.0.0.1 only.

Prints one line, `listening on http://127.0.0.1:PORT`, and serves until SIGTERM or SIGINT, or with --parent-dies until the parent
process is gone or closes this process's standard input.
"""

import argparse
import asyncio
import os
import signal
import ssl
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from gateway_proxy.fake_provider.service import Service

_SHUTDOWN_SECONDS = 1.0
_PARENT_CHECK_SECONDS = 1.0


def main() -> int:
    """Exit code 0, or 1 with one line on stderr when it cannot start."""
    options = _parse_options()
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_run(options))
    except OSError as error:
        print(f"fake provider: cannot start: {error}", file=sys.stderr)
        return 1
    return 0


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m gateway_proxy.fake_provider", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--ledger", type=Path, help="JSON-lines file of what was accepted and billed")
    parser.add_argument("--api-key", help="refuse other bearer tokens")
    parser.add_argument(
        "--parent-dies", action="store_true", help="exit when the parent is gone or closes stdin"
    )
    parser.add_argument("--tls-cert", type=Path)
    parser.add_argument("--tls-key", type=Path)
    options = parser.parse_args()
    if (options.tls_cert is None) != (options.tls_key is None):
        parser.error("--tls-cert and --tls-key go together")
    return options


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _run(options: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    tls = None
    if options.tls_cert is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(options.tls_cert, options.tls_key)
    service = Service(options.ledger, options.api_key)
    server = await loop.create_server(
        service.new_connection, "127.0.0.1", options.port, ssl=tls, backlog=2048
    )
    port = server.sockets[0].getsockname()[1]
    print(f"listening on {'https' if tls else 'http'}://127.0.0.1:{port}", flush=True)
    if options.parent_dies:
        _watch_parent(loop, stop)
    await stop.wait()
    server.close()
    await service.shut_down(_SHUTDOWN_SECONDS)


def _watch_parent(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Set `stop` when the parent changes, or at the end of a standard input that is a pipe or socket."""
    parent = os.getppid()

    def check() -> None:
        if os.getppid() != parent:
            stop.set()
        else:
            loop.call_later(_PARENT_CHECK_SECONDS, check)

    def read_to_the_end() -> None:
        while os.read(0, 4096):
            pass
        try:
            loop.call_soon_threadsafe(stop.set)
        except RuntimeError:
            return  # the loop is already closed: we are leaving anyway

    check()
    try:
        kind = os.fstat(0).st_mode
    except OSError:
        return
    if stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind):
        threading.Thread(target=read_to_the_end, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
