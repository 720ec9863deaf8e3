import re
from urllib.parse import unquote

import pytest

from dashboard.views.key_acts import GRACES
from gateway_proxy.admin.actor import Role
from gateway_proxy.admin.problem import NotFound
from gateway_proxy.keys.service import MAX_GRACE_SECONDS
from tests.support.dashboard import OWNER, PREFIX, Dashboard, acting_as

KEYS = "/configuration/api-keys"


async def make(dashboard: Dashboard, **members: object) -> str:
    return str((await dashboard.admin.keys.create(OWNER, {"name": "x's <key>", **members})).key["id"])


async def status_of(dashboard: Dashboard, key_id: str) -> str:
    return str((await dashboard.admin.keys.find(OWNER, key_id))["status"])


async def test_a_rotation_shows_the_new_secret_once(dashboard: Dashboard) -> None:
    key_id = await make(dashboard)
    asked = await dashboard.get(f"{KEYS}/{key_id}/rotate")
    assert re.search(r'name="revision" value="1"', asked.text)
    form = {"revision": "1", "grace": "3600"}
    page = await dashboard.post(f"{KEYS}/{key_id}/rotate", form)
    assert page.status == 200
    (secret,) = set(re.findall(r"gwk_[0-9A-Za-z]{49}", page.text))
    key = await dashboard.admin.keys.find(OWNER, key_id)
    assert key["preview"] == f"{secret[:8]}…{secret[-10:-6]}"
    again = await dashboard.post(f"{KEYS}/{key_id}/rotate", form)
    assert again.status == 409
    assert "it was not rotated again" in again.text
    assert (await dashboard.admin.keys.find(OWNER, key_id))["revision"] == 2


@pytest.mark.parametrize(
    "form", [{}, {"revision": "1", "grace": "7"}, {"revision": "x"}, {"revision": "9" * 40, "grace": "0"}]
)
async def test_a_garbled_rotation_is_refused(dashboard: Dashboard, form: dict[str, str]) -> None:
    key_id = await make(dashboard)
    assert (await dashboard.post(f"{KEYS}/{key_id}/rotate", form)).status == 400
    assert (await dashboard.admin.keys.find(OWNER, key_id))["revision"] == 1


def test_every_grace_can_be_granted() -> None:
    assert all(0 <= int(seconds) <= MAX_GRACE_SECONDS for seconds in GRACES)


async def test_pause_and_go_on(dashboard: Dashboard) -> None:
    key_id = await make(dashboard)
    page = await dashboard.post(f"{KEYS}/{key_id}/deactivate?search=x")
    assert (page.status, page.location) == (303, f"{PREFIX}{KEYS}/{key_id}?search=x")
    assert await status_of(dashboard, key_id) == "inactive"
    assert "/activate" in (await dashboard.get(f"{KEYS}/{key_id}")).text
    await dashboard.post(f"{KEYS}/{key_id}/activate")
    assert await status_of(dashboard, key_id) == "active"


async def test_what_an_address_holds_cannot_leave_it(dashboard: Dashboard) -> None:
    key_id = await make(dashboard)
    page = await dashboard.post(f"{KEYS}/{key_id}/deactivate?search=%0d%0aX-Evil:%201&status=%3Cb%3E&more=1")
    assert page.location == f"{PREFIX}{KEYS}/{key_id}?search=X-Evil%3A+1"
    assert "X-Evil" not in page.response.headers


async def test_revoke_and_activate(dashboard: Dashboard) -> None:
    key_id = await make(dashboard)
    assert "Revoke" in (await dashboard.get(f"{KEYS}/{key_id}/revoke")).text
    await dashboard.post(f"{KEYS}/{key_id}/revoke")
    assert await status_of(dashboard, key_id) == "revoked"
    await dashboard.post(f"{KEYS}/{key_id}/activate")
    assert await status_of(dashboard, key_id) == "active"


async def test_an_expired_key_says_what_to_do(dashboard: Dashboard) -> None:
    key_id = await make(dashboard, expires_in="30d")
    await dashboard.store.db.execute("UPDATE keys SET expires_at = 1000 WHERE id = $1", key_id)
    page = await dashboard.post(f"{KEYS}/{key_id}/activate")
    assert page.status == 409
    assert "Give it a new expiration first" in page.text
    assert f"{KEYS}/{key_id}/edit" in page.text


async def test_delete_asks_and_is_final(dashboard: Dashboard) -> None:
    key_id = await make(dashboard)
    text = (await dashboard.get(f"{KEYS}/{key_id}/delete")).text
    assert "Delete API Key</h1>" in text
    assert (
        "Are you sure you want to delete &#39;x&#39;s &lt;key&gt;&#39;? This action cannot be undone."
        in text.replace("delete '", "delete &#39;").replace("'? This", "&#39;? This")
    )
    page = await dashboard.post(f"{KEYS}/{key_id}/delete?search=x")
    assert (page.status, page.location) == (303, f"{PREFIX}{KEYS}?search=x")
    with pytest.raises(NotFound):
        await dashboard.admin.keys.find(OWNER, key_id)
    assert "was deleted." in (await dashboard.get(KEYS)).text
    assert (await dashboard.post(f"{KEYS}/{key_id}/delete")).status == 404


@pytest.mark.parametrize("act", ["rotate", "deactivate", "activate", "revoke", "delete"])
async def test_nothing_is_done_by_looking(dashboard: Dashboard, act: str) -> None:
    key_id = await make(dashboard)
    page = await dashboard.get(f"{KEYS}/{key_id}/{act}")
    assert page.status in (200, 405)
    key = await dashboard.admin.keys.find(OWNER, key_id)
    assert (key["status"], key["revision"]) == ("active", 1)


@pytest.mark.parametrize("act", ["rotate", "deactivate", "activate", "revoke", "delete"])
@pytest.mark.parametrize(("role", "status"), [(Role.VIEWER, 403), (Role.MEMBER, 404)])
async def test_others_may_not(dashboard: Dashboard, act: str, role: Role, status: int) -> None:
    key_id = await make(dashboard)
    dashboard.actor = acting_as(role)
    form = {"revision": "1", "grace": "0"}
    assert (await dashboard.post(f"{KEYS}/{key_id}/{act}", form)).status == status
    assert (await dashboard.admin.keys.find(OWNER, key_id))["revision"] == 1


async def test_a_token_sleeps_with_its_key(dashboard: Dashboard) -> None:
    key_id = await make(dashboard)
    token = (await dashboard.admin.keys.mint(OWNER, key_id, {}))["id"]
    assert "/deactivate" in (await dashboard.get(f"{KEYS}/{token}")).text
    await dashboard.admin.keys.deactivate(OWNER, key_id)
    dialog = (await dashboard.get(f"{KEYS}/{token}")).text
    assert "Sleeps with the key" in dialog and f"{token}/activate" not in dialog
    page = await dashboard.post(f"{KEYS}/{token}/activate")
    notice = page.response.cookies["gateway_notice"].value
    assert "sleeps as long as the key" in unquote(notice)
