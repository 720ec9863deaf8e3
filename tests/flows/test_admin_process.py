"""The admin side of a running gateway: reached through it, apart from it, and gone with it."""

import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.client import count_descriptors
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import RunningGateway, provider_toml
from tests.support.raw import connect, read_answer
from tests.support.waiting import wait_until

TABLES = '[[models]]\nname = "chat"\ntargets = [{ provider = "fake", model = "fake-large" }]\n'
BODY = {"model": "chat", "messages": [{"role": "user", "content": "hi"}]}
HTML = "text/html,*/*;q=0.8"


def admin_pid(gateway: RunningGateway) -> int | None:
    """The gateway's only child."""
    found = subprocess.run(
        ["ps", "--ppid", str(gateway.pid), "-o", "pid="], capture_output=True, text=True, check=False
    )
    pids = [int(pid) for pid in found.stdout.split()]
    assert len(pids) <= 1
    return pids[0] if pids else None


def is_alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False


def get(gateway: RunningGateway, path: str, port: int | None = None, **headers: str) -> tuple[int, Any]:
    """(status, headers) of a GET with exactly these headers and a Host."""
    connection = http.client.HTTPConnection("127.0.0.1", port or gateway.port, timeout=20)
    try:
        connection.request(
            "GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers
    finally:
        connection.close()


@pytest.fixture(scope="module")
def gateway(run_gateway: Callable[..., RunningGateway], provider: FakeProvider) -> RunningGateway:
    return run_gateway(provider_toml(provider.base_url) + TABLES)


def test_it_is_not_started_before_it_is_needed_and_answers_soon(gateway: RunningGateway) -> None:
    assert admin_pid(gateway) is None
    begun = time.monotonic()
    status, headers = get(gateway, "/dashboard/nowhere", Accept=HTML)
    assert status in (303, 404) and headers["Server"] == "gateway-proxy"
    assert time.monotonic() - begun < 5  # on an idle machine well below 2
    pid = admin_pid(gateway)
    assert pid is not None and os.getpriority(os.PRIO_PROCESS, pid) > 0


def test_the_gateway_does_not_carry_its_weight(gateway: RunningGateway) -> None:
    get(gateway, "/dashboard/nowhere")
    loaded = [Path(f"/proc/{pid}/maps").read_text() for pid in (gateway.pid, admin_pid(gateway))]
    assert ["markupsafe" in maps for maps in loaded] == [False, True]


def test_secrets_are_on_no_command_line_and_in_no_environment(gateway: RunningGateway) -> None:
    get(gateway, "/api/v1/nowhere")
    pid = admin_pid(gateway)
    pepper = (gateway.data_dir / "pepper").read_bytes().strip()
    for name in ("cmdline", "environ"):
        text = Path(f"/proc/{pid}/{name}").read_bytes()
        assert text and pepper not in text and b"fake-key" not in text


def test_foreign_hosts_are_refused(gateway: RunningGateway) -> None:
    for path in ("/api/v1/keys", "/dashboard"):
        assert get(gateway, path, Host="evil.example")[0] == 421
        assert get(gateway, path, Host="")[0] == 421


def test_the_clients_own_facts_do_not_count(gateway: RunningGateway) -> None:
    forged = {"x-gateway-client-ip": "127.0.0.1", "x-gateway-scheme": "https"}
    # Had the scheme counted, the session's cookie would go by its name for HTTPS.
    cookie = gateway.sign_in()["gateway_session"]
    status, _ = get(gateway, "/api/v1/openapi.json", Cookie=f"__Host-gateway={cookie}", **forged)
    assert status in (200, 401, 404)
    page, _ = get(gateway, "/dashboard", Accept=HTML, Cookie=f"__Host-gateway={cookie}", **forged)
    signed_in, _ = get(gateway, "/dashboard", Accept=HTML, Cookie=f"gateway_session={cookie}", **forged)
    assert (page, signed_in) != (200, 303)


def test_a_browser_is_led_to_the_dashboard(gateway: RunningGateway) -> None:
    status, headers = get(gateway, "/", Accept=HTML)
    assert (status, headers["location"]) == (303, "/dashboard")
    assert get(gateway, "/")[0] == 404


def test_odd_paths_never_reach_it(gateway: RunningGateway) -> None:
    for path in ("/dashboard/../v1/models", "/dashboard/%2e%2e/x", "/api//v1", "/dashboard;x=1"):
        assert get(gateway, path)[0] == 400
    assert get(gateway, "/dashboards")[1]["x-gateway-error"] == "route_not_found"
    assert get(gateway, "/apis/v1")[1]["x-gateway-error"] == "route_not_found"


def test_killed_it_comes_back_and_the_data_plane_never_notices(gateway: RunningGateway) -> None:
    key = gateway.create_key()
    get(gateway, "/api/v1/nowhere")
    before = admin_pid(gateway)
    assert before is not None
    os.kill(before, signal.SIGKILL)
    statuses = []
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        assert gateway.fetch("/v1/chat/completions", secret=key.secret, body=BODY)[0] == 200
        statuses.append(get(gateway, "/api/v1/nowhere")[0])
        if statuses[-1] != 503 and admin_pid(gateway) not in (None, before):
            break
    assert statuses[-1] != 503 and set(statuses) <= {503, statuses[-1]}
    assert "has ended (-9)" in gateway.log_text()


def test_slow_clients_hold_up_nobody(gateway: RunningGateway) -> None:
    waiting = [connect(gateway.port) for _ in range(20)]
    for one in waiting:
        one.sendall(b"POST /api/v1/keys HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
    begun = time.monotonic()
    assert get(gateway, "/api/v1/nowhere")[0] in (401, 404)
    assert time.monotonic() - begun < 2
    for one in waiting:
        one.close()


def test_an_expectation_is_answered(gateway: RunningGateway) -> None:
    with connect(gateway.port) as one:
        head = b"POST /api/v1/nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        one.sendall(head)
        one.settimeout(5)
        first = one.recv(4096)
        if first.startswith(b"HTTP/1.1 100 "):
            one.sendall(b"{}")
            # The refusal needs no body, so it may have come with that line.
            first = first.partition(b"\r\n\r\n")[2] or one.recv(4096)
        assert first.startswith((b"HTTP/1.1 401", b"HTTP/1.1 404"))


def test_nothing_is_left_of_requests(gateway: RunningGateway) -> None:
    get(gateway, "/api/v1/nowhere")
    pid = admin_pid(gateway)
    assert pid is not None
    before = count_descriptors(gateway.pid), count_descriptors(pid)
    for n in range(60):
        with connect(gateway.port) as one:
            one.sendall(
                b"GET /api/v1/nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n"[: 30 if n % 3 == 0 else None]
            )
            if n % 3 == 1:
                read_answer(one, "GET")
    # A few connections between the two are kept for the next request.
    wait_until(
        lambda: max(count_descriptors(gateway.pid) - before[0], count_descriptors(pid) - before[1]) <= 5
    )
    assert "Traceback" not in gateway.log_text()


def test_new_settings_reach_it(start_gateway: Callable[..., RunningGateway]) -> None:
    gateway = start_gateway("")
    assert get(gateway, "/api/v1/nowhere", Host="new.example")[0] == 421
    pid = admin_pid(gateway)
    gateway._head = gateway._head.replace(
        "[server]\n", '[server]\nallowed_hosts = ["127.0.0.1", "new.example"]\n'
    )
    gateway.write_config("[dashboard]\nenabled = false\n")
    wait_until(lambda: get(gateway, "/dashboard")[0] == 404)
    assert get(gateway, "/dashboard")[1]["x-gateway-error"] == "route_not_found"
    assert get(gateway, "/", Accept=HTML)[0] == 404
    wait_until(lambda: get(gateway, "/api/v1/nowhere", Host="new.example")[0] in (401, 404))
    assert get(gateway, "/api/v1/nowhere", Host="localhost")[0] == 421
    assert admin_pid(gateway) == pid


def test_an_address_of_its_own(
    start_gateway: Callable[..., RunningGateway], fake_provider: FakeProvider
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = f'drain_seconds = 2\nadmin_listen = "127.0.0.1:{port}"'
    gateway = start_gateway(provider_toml(fake_provider.base_url) + TABLES, server=server)
    assert gateway.admin_url == f"http://127.0.0.1:{port}"
    for path in ("/dashboard", "/api/v1/keys", "/"):
        assert get(gateway, path, Accept=HTML)[1]["x-gateway-error"] == "route_not_found"
    assert get(gateway, "/api/v1/nowhere", port)[0] in (401, 404)
    assert get(gateway, "/", port, Accept=HTML)[0] == 303
    assert get(gateway, "/v1/models", port)[1]["x-gateway-error"] == "route_not_found"
    assert get(gateway, "/healthz", port)[0] == 200
    assert gateway.stop() == 0


def test_it_ends_with_the_gateway(start_gateway: Callable[..., RunningGateway]) -> None:
    gateway = start_gateway("", environment={"GATEWAY_PROXY_LAZY_ADMIN": "0"})
    wait_until(lambda: admin_pid(gateway) is not None)  # not lazy: nobody asked for it
    get(gateway, "/api/v1/nowhere")
    pid = admin_pid(gateway)
    assert pid is not None
    gateway.kill()
    wait_until(lambda: not is_alive(pid), 3)
    gateway.start()
    get(gateway, "/api/v1/nowhere")
    pid = admin_pid(gateway)
    assert pid is not None
    begun = time.monotonic()
    assert gateway.stop() == 0
    assert not is_alive(pid) and time.monotonic() - begun < 4
    assert "Traceback" not in gateway.log_text()
