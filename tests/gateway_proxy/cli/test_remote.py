"""The API elsewhere: the same commands, the same outputs; refused plain HTTP, foreign answers, no redirects."""

import asyncio
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gateway_proxy.admin.actor import Role
from gateway_proxy.cli.local import open_local
from gateway_proxy.cli.remote import is_loopback
from tests.support.admin import HOME, build_token_app

TOKEN = "gwa_the-token-of-the-test"


@contextmanager
def run_api(folder: Path, role: Role) -> Iterator[str]:
    """The admin API of the store in the folder, in a thread of its own; its URL."""
    ready, stop = threading.Event(), threading.Event()
    urls: list[str] = []

    async def serve() -> None:
        async with open_local(None, create=True) as local:
            runner = web.AppRunner(build_token_app(await local.admin(), TOKEN, role))
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            urls.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
            ready.set()
            await asyncio.to_thread(stop.wait)
            await runner.cleanup()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(10)
        yield urls[0]
    finally:
        stop.set()
        thread.join()


@pytest.fixture
def remote(cli, tmp_path, monkeypatch) -> Iterator[Any]:
    """`remote("keys", "list")` against the API of the store that `cli` works on."""
    cli("members", "add", "olga@example.com", "--role", "owner")
    monkeypatch.setenv("GATEWAY_PROXY_TOKEN", TOKEN)
    with run_api(tmp_path, Role.OWNER) as url:

        def call(*arguments: str) -> Any:
            return cli(*arguments, "--url", url)

        yield call


def test_a_key_s_life_is_the_same_from_afar(cli, remote) -> None:
    made = remote("keys", "create", "--name", "alpha", "--rpm", "5", "--json").json
    assert made["key"]["owner"] == "olga@example.com"
    assert remote("keys", "list").out == cli("keys", "list").out
    assert remote("keys", "show", "alpha", "--json").json == cli("keys", "show", "alpha", "--json").json
    assert remote("keys", "update", "alpha", "--no-rpm", "--json").json["requests_per_minute"] is None
    assert "nothing was changed" in remote("keys", "update", "alpha", "--no-rpm").out
    outcome = remote("keys", "update", "alpha", "--rpm", "6", "--revision", "1")
    assert (outcome.code, "revision 2, not 1" in outcome.err) == (1, True)
    assert remote("keys", "rotate", "alpha", "--json").json["secret"] != made["secret"]
    for act, status in (("deactivate", "inactive"), ("revoke", "revoked"), ("activate", "active")):
        assert remote("keys", act, "alpha", "--json").json["status"] == status
    assert remote("keys", "delete", "alpha").out == f"Deleted key alpha ({made['key']['id']}).\n"
    outcome = remote("keys", "show", made["key"]["id"])
    assert (outcome.code, outcome.err) == (1, f"gateway-proxy: there is no key {made['key']['id']}\n")


def test_mistakes_are_told_under_their_flags(remote) -> None:
    outcome = remote("keys", "create", "--name", "a", "--owner", "eve@example.com")
    assert outcome.code == 2
    assert outcome.err.startswith("gateway-proxy: --owner: eve@example.com is not a member of default")


def test_import_and_export(cli, remote, tmp_path) -> None:
    (tmp_path / "keys.csv").write_text("external_id,name,owner\n1,alpha,\n2,beta,olga@example.com\n")
    assert len(remote("keys", "import", "keys.csv", "--json").json["created"]) == 2
    again = cli("keys", "import", "keys.csv", "--json").json
    assert (again["created"], len(again["skipped"])) == ([], 2)
    assert remote("keys", "export").out == cli("keys", "export").out


def test_the_other_commands(cli, remote) -> None:
    for command in (
        ("members", "list"), ("orgs", "list"), ("tokens", "list"), ("gateways", "list"), ("logs",), ("usage", "report"),
    ):  # fmt: skip
        outcome = remote(*command)
        assert (outcome.code, outcome.out) == (0, cli(*command).out)
    assert remote("members", "add", "max@example.com", "--json").json["member"]["organization"] == HOME
    assert remote("members", "set-role", "max@example.com", "viewer", "--json").json["role"] == "viewer"
    token = remote("tokens", "create", "--role", "viewer", "--expires", "30d", "--json").json["token"]
    assert remote("tokens", "revoke", token["id"]).code == 0
    assert remote("members", "remove", "max@example.com").code == 0


def test_a_wrong_token_is_one_line(cli, remote) -> None:
    outcome = remote("keys", "list", "--token", "gwa_another")
    assert (outcome.code, outcome.out, len(outcome.err.splitlines())) == (1, "", 1)
    assert "send an admin token" in outcome.err


def test_a_viewer_s_token_reads(cli, tmp_path, monkeypatch) -> None:
    cli("keys", "create", "--name", "alpha")
    monkeypatch.setenv("GATEWAY_PROXY_TOKEN", TOKEN)
    with run_api(tmp_path, Role.VIEWER) as url:
        assert cli("keys", "list", "--url", f"{url}/api/v1/", "--json").json["data"][0]["name"] == "alpha"
        outcome = cli("keys", "revoke", "alpha", "--url", url)
        assert (outcome.code, "may not change keys" in outcome.err) == (1, True)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("http://gateway.example.com", "plain http"),
        ("http://127.0.0.1.example.com", "plain http"),
        ("http://[::ffff:192.0.2.1]", "plain http"),
        ("ftp://localhost", "is not an address"),
        ("localhost:8080", "is not an address"),
        ("http://", "is not an address"),
        ("https://user:pass@localhost", "must hold no user or password"),
        ("https://localhost/?a=b", "is not an address"),
        ("http://localhost:99999", "is not an address"),
        ("http://[::1", "is not an address"),
    ],
)
def test_addresses_that_are_refused(cli, url: str, complaint: str) -> None:
    outcome = cli("keys", "list", "--url", url, "--token", TOKEN)
    assert (outcome.code, outcome.out, len(outcome.err.splitlines())) == (1, "", 1)
    assert complaint in outcome.err
    assert TOKEN not in outcome.err
    assert "pass@" not in outcome.err


@pytest.mark.parametrize(
    ("host", "local"),
    [("localhost", True), ("127.8.8.8", True), ("::1", True), ("10.0.0.1", False), ("", False)],
)
def test_loopback(host: str, local: bool) -> None:
    assert is_loopback(host) is local


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>hello</html>"),
        (302, b""),
        (404, b'{"error":"no"}'),
        (500, b""),
        (200, b""),
        (422, b"[1]"),
    ],
)
def test_somebody_else_s_answer_is_one_line(cli, status: int, body: bytes) -> None:
    seen: list[str] = []

    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            self.send_response(status)
            self.send_header("Location", "/stolen")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        outcome = cli("keys", "list", "--url", f"http://127.0.0.1:{server.server_port}", "--token", TOKEN)
        server.shutdown()
        thread.join()
    assert (outcome.code, outcome.out, len(outcome.err.splitlines())) == (1, "", 1)
    assert "does not answer as the admin API" in outcome.err
    assert len(seen) == 1
