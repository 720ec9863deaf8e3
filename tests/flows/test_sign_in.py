"""Signing in on a running gateway: the first owner, an invitation, a token, and no secret left anywhere."""

import re
import stat
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from tests.support.command_line import command
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import RunningGateway, provider_toml

PASSWORD = "password-canary correct horse"
OWN = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def gateway(start_gateway: Callable[..., RunningGateway], provider: FakeProvider) -> RunningGateway:
    return start_gateway(provider_toml(provider.base_url))


class Browser:
    """A browser without JavaScript."""

    def __init__(self, gateway: RunningGateway, session: aiohttp.ClientSession) -> None:
        self._url = gateway.admin_url
        self._session = session

    async def ask(self, method: str, path: str, form: dict[str, str] | None = None) -> tuple[int, str, Any]:
        url = path if path.startswith("http") else self._url + path
        options: Any = {"data": form, "headers": OWN} if method == "POST" else {}
        async with self._session.request(method, url, allow_redirects=False, **options) as answer:
            return answer.status, answer.headers.get("Location", ""), await answer.text()


def run_command(gateway: RunningGateway, *arguments: str) -> str:
    printed = command(*arguments, "-c", str(gateway.config_path))
    assert printed.code == 0, printed.err
    return printed.out


async def test_from_the_first_start_to_the_second_member(gateway: RunningGateway) -> None:
    path = gateway.data_dir / "setup-link"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    first = path.read_text().strip()
    assert first not in gateway.log_text(), "a log is read by more than its owner"
    gateway.restart()
    link = path.read_text().strip()
    assert link != first
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        browser = Browser(gateway, session)
        assert (await browser.ask("GET", first))[0] == 404
        assert (await browser.ask("GET", link))[0] == 200
        form = {"name": "Ada", "email": "ada@example.com", "password": PASSWORD}
        assert (await browser.ask("POST", link, form))[:2] == (303, "/dashboard")
        status, _, page = await browser.ask("GET", "/dashboard/account")
        assert status == 200 and "ada@example.com" in page
        assert (await browser.ask("POST", "/dashboard/sign-out"))[:2] == (303, "/dashboard/sign-in")
        invitation = re.findall(r"http\S+", run_command(gateway, "members", "add", "bob@example.com"))[0]
        assert (await browser.ask("POST", invitation, {"password": PASSWORD, "name": "Bob"}))[0] == 303
        run_command(gateway, "members", "remove", "bob@example.com")
        assert (await browser.ask("GET", "/dashboard/account"))[1].startswith("/dashboard/sign-in")
        wrong = {"email": "ada@example.com", "password": "password-canary wrong"}
        assert (await browser.ask("POST", "/dashboard/sign-in", wrong))[0] == 401
        cookies = [cookie.value for cookie in session.cookie_jar]
        assert any(cookies)
    gateway.restart()
    assert not path.exists(), "nobody needs it any more"
    secrets = [PASSWORD, "password-canary", link.rpartition("/")[2], invitation.rpartition("/")[2], *cookies]
    assert gateway.stop() == 0
    for file in (f for f in gateway.folder.rglob("*") if f.is_file()):
        content = file.read_bytes()
        assert not [n for n, secret in enumerate(secrets) if secret and secret.encode() in content], file.name


async def test_a_revoked_token_ends_at_once(gateway: RunningGateway) -> None:
    made = run_command(gateway, "tokens", "create", "--role", "viewer", "--expires", "30d")
    secret, token_id = re.findall(r"gwa_\w+", made)[0], re.findall(r"tok_\w+", made)[0]
    url = f"{gateway.admin_url}/api/v1/keys"
    headers = {"Authorization": f"Bearer {secret}"}
    async with aiohttp.ClientSession() as session:
        async with session.get(url, headers=headers) as answer:
            assert answer.status == 200
        run_command(gateway, "tokens", "revoke", token_id)
        async with session.get(url, headers=headers) as answer:
            assert answer.status == 401 and secret not in await answer.text()
