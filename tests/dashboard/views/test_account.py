import json
import re

from tests.support.site import PASSWORD, Site, site

__all__ = ["site"]

NEW = "another long passphrase"


async def test_the_page_shows_who_one_is_and_where(site: Site) -> None:
    await site.set_up()
    page = await site.get("/dashboard/account")
    assert page.status == 200
    for text in ("<dd>ada@example.com</dd>", "<dd>owner</dd>", 'value="Ada"', "this one", "127.0.0.1"):
        assert text in page.text


async def test_a_name_is_changed(site: Site) -> None:
    await site.set_up()
    assert (await site.post("/dashboard/account/name", {"name": "Ada L."})).location == "/dashboard/account"
    page = await site.get("/dashboard/account")
    assert 'value="Ada L."' in page.text and "Your name was saved." in page.text
    wrong = await site.post("/dashboard/account/name", {"name": "x" * 129})
    assert wrong.status == 422 and "129 characters" in wrong.mistake("name") and "x" * 129 in wrong.text


async def test_a_password_is_changed_with_the_old_one(site: Site) -> None:
    await site.set_up()
    _, elsewhere = await site.admin.sessions.sign_in("ada@example.com", PASSWORD, "192.0.2.1", "other")
    path = "/dashboard/account/password"
    wrong = await site.post(path, {"current_password": "wrong-canary", "password": NEW})
    assert wrong.status == 422 and wrong.mistake("current_password") == "Is not your current password."
    assert "wrong-canary" not in wrong.text and NEW not in wrong.text
    easy = await site.post(path, {"current_password": PASSWORD, "password": "short"})
    assert "at least 12" in easy.mistake("password")
    done = await site.post(path, {"current_password": PASSWORD, "password": NEW})
    assert done.location == "/dashboard/account"
    assert (await site.get("/dashboard/account")).status == 200, "this session goes on"
    assert await site.admin.sessions.authenticate(elsewhere, "") is None


async def test_other_sessions_are_ended(site: Site) -> None:
    await site.set_up()
    _, elsewhere = await site.admin.sessions.sign_in("ada@example.com", PASSWORD, "192.0.2.1", "other")
    page = await site.get("/dashboard/account")
    ends = re.findall(r'action="(/dashboard/account/sessions/[0-9a-f]+/end)"', page.text)
    assert len(ends) == 1
    listed = json.loads((await site.get("/dashboard/account?format=json")).text)["data"]
    assert [session["current"] for session in listed].count(True) == 1 and len(listed) == 2
    assert (await site.post(ends[0])).status == 303
    assert await site.admin.sessions.authenticate(elsewhere, "") is None
    assert (await site.post(ends[0])).status == 404
    out = await site.post("/dashboard/account/sign-out-everywhere")
    assert out.location == "/dashboard/sign-in"
    assert (await site.get("/dashboard/account")).status == 303


async def test_a_token_without_a_member_has_no_account(site: Site) -> None:
    await site.set_up()
    owner = (await site.admin.sessions.sign_in("ada@example.com", PASSWORD, "", ""))[0]
    made = await site.admin.tokens.create(owner, {"role": "admin", "expires_in": "never"})
    page = await site.get("/dashboard/account", headers={"Authorization": f"Bearer {made.secret}"})
    assert page.status == 403


async def test_whoever_has_no_password_sets_one_without_the_old(site: Site) -> None:
    await site.get(await site.admin.links.make_demo_link())
    page = await site.get("/dashboard/account")
    assert "Set password" in page.text and "current_password" not in page.text
    assert (await site.post("/dashboard/account/password", {"password": NEW})).status == 303
    assert "Change password" in (await site.get("/dashboard/account")).text
