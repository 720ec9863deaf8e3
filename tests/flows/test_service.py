"""Under a service manager such as systemd: it is told how the gateway stands, and its socket outlives each process."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from tests.support.fake_provider import FakeProvider
from tests.support.gateway import RunningGateway, provider_toml

_WRAPPER = 'exec 3<&"$SOCKET"; export LISTEN_PID=$$; exec "$0" -m gateway_proxy serve -c "$1"'


def test_a_restart_behind_a_socket_unit_refuses_nobody(
    start_gateway: Callable[..., RunningGateway], fake_provider: FakeProvider, tmp_path: Path
) -> None:
    gateway = start_gateway(provider_toml(fake_provider.base_url))
    key = gateway.create_key()
    gateway.stop()
    with (
        socket.create_server(("127.0.0.1", gateway.port), backlog=1024) as listener,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
    ):
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        os.set_inheritable(listener.fileno(), True)

        def start() -> subprocess.Popen[bytes]:
            environment = {
                **os.environ, "LISTEN_FDS": "1", "SOCKET": str(listener.fileno()), "GATEWAY_PROXY_LAZY_ADMIN": "1",
                "NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "30000000",
            }  # fmt: skip
            with gateway.log_path.open("ab") as log:
                return subprocess.Popen(
                    ["bash", "-c", _WRAPPER, sys.executable, str(gateway.config_path)],
                    pass_fds=[listener.fileno()], env=environment, stdout=log, stderr=log,
                )  # fmt: skip

        seen: list[int] = []
        ends = threading.Event()

        def ask() -> None:
            while not ends.is_set():
                seen.append(gateway.fetch("/v1/models", secret=key.secret)[0])

        process = start()
        asking = threading.Thread(target=ask)
        try:
            assert manager.recv(200).startswith(b"READY=1")
            assert manager.recv(200) == b"WATCHDOG=1"
            asking.start()
            process.send_signal(signal.SIGHUP)
            assert manager.recv(200).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
            assert manager.recv(200) == b"READY=1"
            process.send_signal(signal.SIGTERM)
            assert manager.recv(200).startswith(b"STOPPING=1")
            assert process.wait(15) == 0
            before = len(seen)
            process = start()
            assert manager.recv(200).startswith(b"READY=1")
            while len(seen) < before + 3:
                assert asking.is_alive(), gateway.log_text()
        finally:
            ends.set()
            asking.join(30)
            process.kill()
            process.wait()
    assert set(seen) == {200}
    assert "cannot listen" not in gateway.log_text()
