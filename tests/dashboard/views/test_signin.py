import re
from urllib.parse import parse_qs, urlsplit

import pytest

from gateway_proxy.admin.actor import Actor, Role
from gateway_proxy.admin.oidc import OidcSignIn
from gateway_proxy.admin.oidc_provider import OidcProvider
from gateway_proxy.config.secrets import Secret
from tests.support.oidc_server import CLIENT_ID, CLIENT_SECRET, run_oidc_server
from tests.support.site import PASSWORD, PEPPER, Site, site

__all__ = ["site"]

CLI = Actor(name="cli", role=Role.OWNER, organization="default", via="cli")


async def test_set_up_sign_out_sign_in(site: Site) -> None:
    assert "Nobody is a member yet" in (await site.get("/dashboard/sign-in")).text
    done = await site.set_up()
    assert (done.status, done.location) == (303, "/dashboard")
    cookie = done.cookies["gateway_session"]
    assert (cookie["httponly"], cookie["samesite"], cookie["secure"], cookie["path"]) == (
        True,
        "Lax",
        "",
        "/",
    )
    assert (await site.get("/dashboard/account")).status == 200
    out = await site.post("/dashboard/sign-out")
    assert (out.status, out.location) == (303, "/dashboard/sign-in")
    assert out.cookies["gateway_session"].value == ""
    away = await site.get("/dashboard/account")
    assert (away.status, away.location) == (303, "/dashboard/sign-in?next=%2Fdashboard%2Faccount")
    page = await site.get(away.location)
    assert "Nobody is a member yet" not in page.text and 'value="/dashboard/account"' in page.text
    form = {"email": "Ada@example.com", "password": PASSWORD, "next": "/dashboard/account"}
    back = await site.post("/dashboard/sign-in", form)
    assert (back.status, back.location) == (303, "/dashboard/account")
    assert (await site.get("/dashboard/account")).status == 200


async def test_wrong_credentials_keep_what_was_typed(site: Site) -> None:
    await site.set_up()
    await site.post("/dashboard/sign-out")
    form = {"email": 'eve"><b>@example.com', "password": "wrong-canary", "next": "/dashboard/logs"}
    page = await site.post("/dashboard/sign-in", form)
    assert page.status == 401 and "The e-mail address or the password is wrong." in page.text
    assert 'value="eve&#34;&gt;&lt;b&gt;@example.com"' in page.text and 'value="/dashboard/logs"' in page.text
    assert "wrong-canary" not in page.text


async def test_too_many_attempts_are_told_to_wait(site: Site) -> None:
    await site.set_up()
    await site.post("/dashboard/sign-out")
    for _ in range(10):
        await site.post("/dashboard/sign-in", {"email": "ada@example.com", "password": "wrong"})
    page = await site.post("/dashboard/sign-in", {"email": "ada@example.com", "password": PASSWORD})
    assert (page.status, page.headers["Retry-After"]) == (429, "30")
    assert "again in 30 seconds" in page.text


async def test_the_organization_is_asked_for_where_it_matters(site: Site) -> None:
    await site.set_up()
    owner = Actor(name="cli", role=Role.OWNER, organization=None, via="cli")
    added = await site.admin.organizations.add(owner, {"name": "acme", "owner": "ada@example.com"})
    await site.post("/dashboard/sign-out")
    await site.post(added.link, {"password": PASSWORD})
    await site.post("/dashboard/sign-out")
    form = {"email": "ada@example.com", "password": PASSWORD}
    page = await site.post("/dashboard/sign-in", form)
    assert page.status == 422 and "acme, default" in page.mistake("organization")
    assert (await site.post("/dashboard/sign-in", form | {"organization": "acme"})).status == 303
    assert "<dd>acme</dd>" in (await site.get("/dashboard/account")).text


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example",
        "//evil.example",
        "/dashboard/\\evil.example",
        "/dashboardevil",
        "/elsewhere",
        "/dashboard//evil",
    ],
)
async def test_next_leads_nowhere_else(site: Site, target: str) -> None:
    await site.set_up()
    assert (await site.get(f"/dashboard/sign-in?next={target}")).location == "/dashboard"
    await site.post("/dashboard/sign-out")
    form = {"email": "ada@example.com", "password": PASSWORD, "next": target}
    assert (await site.post("/dashboard/sign-in", form)).location == "/dashboard"


async def test_mistakes_of_the_set_up_stand_beside_their_fields(site: Site) -> None:
    link = await site.admin.links.ensure_setup_link("default")
    assert link is not None
    page = await site.get(link)
    assert "organization <strong>default</strong>" in page.text
    assert 'required aria-describedby="password-hint"' in page.text
    wrong = await site.post(link, {"name": "Ada", "email": "ada", "password": "short"})
    assert wrong.status == 422
    assert "must be an e-mail address" in wrong.mistake("email").lower()
    assert "at least 12" in wrong.mistake("password")
    assert 'aria-describedby="password-error password-hint" aria-invalid="true"' in wrong.text
    assert 'value="Ada"' in wrong.text and 'value="ada"' in wrong.text and "short" not in wrong.text
    assert (await site.set_up()).status == 303
    assert (await site.get(link)).status == 404


async def test_an_invitation_is_accepted_once(site: Site) -> None:
    await site.set_up()
    invited = await site.admin.members.add(CLI, {"email": "bob@example.com", "name": "Bob"})
    await site.post("/dashboard/sign-out")
    page = await site.get(invited.link)
    assert page.status == 200 and 'value="bob@example.com"' in page.text and 'value="Bob"' in page.text
    assert (await site.get(invited.link)).status == 200, "looking does not use it up"
    assert "at least 12" in (await site.post(invited.link, {"password": "short"})).mistake("password")
    done = await site.post(invited.link, {"password": PASSWORD, "name": "Robert"})
    assert (done.status, done.location) == (303, "/dashboard")
    assert "Robert" in (await site.get("/dashboard/account")).text
    assert (await site.post(invited.link, {"password": PASSWORD})).status == 404
    assert (await site.get("/dashboard/reset/" + invited.link.rpartition("/")[2])).status == 404


async def test_a_link_for_a_new_password_ends_all_sessions(site: Site) -> None:
    await site.set_up()
    ada = (await site.admin.members.list(CLI))[0]
    made = await site.admin.members.make_link(CLI, ada["id"])
    assert "/dashboard/reset/" in made.link
    old = {cookie.key: cookie.value for cookie in site.browser.cookie_jar}
    assert (await site.post(made.link, {"password": "quite another password"})).status == 303
    site.browser.cookie_jar.clear()
    site.browser.cookie_jar.update_cookies(old, site.url)
    assert (await site.get("/dashboard/account")).status == 303


async def test_the_demos_link_works_once(site: Site) -> None:
    link = await site.admin.links.make_demo_link()
    assert (await site.ask("HEAD", link)).status == 405
    done = await site.get(link)
    assert (done.status, done.location) == (303, "/dashboard")
    assert (await site.get("/dashboard/account")).status == 200
    assert (await site.get(link)).status == 303, "the same browser is in already"
    site.browser.cookie_jar.clear()
    assert (await site.get(link)).status == 404
    newer = await site.admin.links.make_demo_link()
    assert newer != link and (await site.get(newer)).status == 303
    assert len(await site.admin.members.list(CLI)) == 1


async def test_single_sign_on(site: Site) -> None:
    await site.set_up()
    await site.post("/dashboard/sign-out")
    assert "single sign-on" not in (await site.get("/dashboard/sign-in")).text
    assert (await site.get("/dashboard/oidc/start")).status == 404
    assert (await site.get("/dashboard/oidc/callback")).status == 404
    async with run_oidc_server() as provider:
        client = OidcProvider(provider.issuer, CLIENT_ID, Secret(CLIENT_SECRET), site.clock)
        base_url = str(site.url).rstrip("/")
        site.admin.oidc = OidcSignIn(
            client, site.store.identity, site.admin.sessions, site.clock, pepper=PEPPER,
            dashboard_url=f"{base_url}/dashboard",
            organization="default",
        )  # fmt: skip
        page = await site.get("/dashboard/sign-in?next=/dashboard/account")
        start = re.findall(r'href="(/dashboard/oidc/start[^"]*)"', page.text)[0]
        leave = await site.get(start)
        assert leave.status == 303 and leave.location.startswith(provider.issuer)
        assert leave.cookies["gateway_session-oidc"]["httponly"]
        assert parse_qs(urlsplit(leave.location).query)["redirect_uri"] == [
            f"{base_url}/dashboard/oidc/callback"
        ]
        callback = (await site.get(leave.location)).location
        assert (await site.ask("HEAD", callback)).status == 405
        back = await site.get(callback)
        assert (back.status, back.location) == (303, "/dashboard/account")
        assert back.cookies["gateway_session-oidc"].value == ""
        assert (await site.get("/dashboard/account")).status == 200
        await site.post("/dashboard/sign-out")
        again = await site.get(callback)
        assert again.status == 403 and "start again" in again.text


async def test_pages_do_not_leak_and_are_not_kept(site: Site) -> None:
    link = await site.admin.links.ensure_setup_link("default")
    assert link is not None
    for path in ("/dashboard/sign-in", link):
        page = await site.get(path)
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert "script-src 'self'" in page.headers["Content-Security-Policy"]
        assert "<script>" not in page.text and " style=" not in page.text
