import html
import io
import re
from typing import Any

import pytest
from multidict import MultiDict

from gateway_proxy.admin.actor import Role
from gateway_proxy.admin.keys import KeyQuery
from gateway_proxy.keys.fields import ENDPOINTS
from tests.support.dashboard import OWNER, PREFIX, Dashboard, Page, acting_as

KEYS = "/configuration/api-keys"
NEW = f"{KEYS}/new"


def fields_of(page: Page) -> MultiDict[str]:
    """What a browser would send of the form on the page."""
    form = page.text.partition('class="key-form"')[2].partition("</form>")[0]
    sent: MultiDict[str] = MultiDict()
    for tag in re.findall(r"<input[^>]*>", form):
        attributes = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        ticked = attributes.get("type") not in ("checkbox", "radio") or tag.rstrip(">").endswith(" checked")
        ticked = ticked or " checked " in tag
        if "name" in attributes and ticked:
            sent.add(attributes["name"], unescape(attributes["value"]))
    for name, text in re.findall(r'<textarea[^>]*name="(\w+)"[^>]*>\n(.*?)</textarea>', form, re.DOTALL):
        sent.add(name, unescape(text))
    for name, options in re.findall(r'<select[^>]*name="(\w+)"[^>]*>(.*?)</select>', form, re.DOTALL):
        chosen = re.findall(r'<option value="([^"]*)" selected', options) or re.findall(
            r'value="([^"]*)"', options
        )
        sent.add(name, unescape(chosen[0]))
    return sent


def unescape(text: str) -> str:
    return html.unescape(text)


async def all_keys(dashboard: Dashboard) -> list[dict[str, Any]]:
    return (await dashboard.admin.keys.search(OWNER, KeyQuery())).keys


async def send_new(dashboard: Dashboard, path: str = NEW, **texts: str) -> Page:
    sent = fields_of(await dashboard.get(path))
    sent.update(texts)
    return await dashboard.post(path, sent)


@pytest.mark.slow
async def test_a_new_key_is_made_and_its_secret_shown(dashboard: Dashboard) -> None:
    page = await send_new(dashboard, name="Production API")
    assert page.status == 200
    assert page.response.headers["Cache-Control"] == "no-store"
    assert "API Key created! Copy it now" in page.text
    assert "This key will not be shown again. Make sure to save it securely." in page.text
    secrets = set(re.findall(r"gwk_[0-9A-Za-z]{49}", page.text))
    assert len(secrets) == 1
    (key,) = await all_keys(dashboard)
    assert key["name"] == "Production API"
    assert key["owner"] == "ada@example.com"
    assert key["allowed_providers"] is key["allowed_models"] is key["budget_usd"] is None


async def test_sent_again_it_makes_no_second_key(dashboard: Dashboard) -> None:
    sent = fields_of(await dashboard.get(NEW))
    sent["name"] = "once"
    assert (await dashboard.post(NEW, sent)).status == 200
    again = await dashboard.post(NEW, sent)
    assert again.status == 409
    assert "Key was created already" in again.text
    assert not re.search(r"gwk_[0-9A-Za-z]{49}", again.text)
    (key,) = await all_keys(dashboard)
    await dashboard.admin.keys.delete(OWNER, key["id"])
    assert (await dashboard.post(NEW, sent)).status == 409
    assert await all_keys(dashboard) == []


async def test_two_forms_make_two_keys(dashboard: Dashboard) -> None:
    for _ in range(2):
        assert (await send_new(dashboard, name="same")).status == 200
    assert len(await all_keys(dashboard)) == 2


async def test_the_same_form_of_another_actor_is_another_form(dashboard: Dashboard) -> None:
    sent = fields_of(await dashboard.get(NEW))
    sent["name"] = "x"
    await dashboard.post(NEW, sent)
    dashboard.actor = acting_as(Role.ADMIN)
    assert (await dashboard.post(NEW, sent)).status == 200


@pytest.mark.parametrize("once", ["", "key_1", "x"])
async def test_a_form_of_ones_own_making_is_refused(dashboard: Dashboard, once: str) -> None:
    page = await dashboard.post(NEW, {"name": "x", "once": once, "endpoints": "chat"})
    assert page.status == 400
    assert await all_keys(dashboard) == []


async def test_every_field_arrives(dashboard: Dashboard) -> None:
    sent = fields_of(await dashboard.get(NEW))
    sent.update(
        {
            "name": "all",
            "expires": "90d",
            "requests_per_minute": "600",
            "tokens_per_minute": "200,000",
            "budget_usd": "25",
            "alert_thresholds": "50, 100",
            "allowed_models": "gpt-4o\r\nclaude-3.5-*",
            "ip_allowlist": "192.168.1.0/24\r\n10.0.0.1",
            "metadata": '{"team": "backend"}',
            "max_parallel_requests": "50",
            "budget_period": "month",
            "budget_timezone": "Europe/Berlin",
            "mcp_enabled": "on",
            "mcp_mode": "allow_list",
            "mcp_servers": "github",
            "mcp_tools_limited": "github",
            "mcp_tools_more:github": "search_issues",
        }
    )
    sent.popall("providers")
    sent.add("providers", "openai")
    sent.popall("endpoints")
    sent.add("endpoints", "chat")
    assert (await dashboard.post(NEW, sent)).status == 200
    (key,) = await all_keys(dashboard)
    assert key["expires_at"] is not None
    assert (key["requests_per_minute"], key["tokens_per_minute"]) == (600, 200_000)
    assert (key["budget_usd"], key["budget_period"], key["budget_timezone"]) == ("25.00", "month", "Europe/Berlin")  # fmt: skip
    assert key["alert_thresholds"] == [50, 100]
    assert (key["allowed_providers"], key["allowed_endpoints"]) == (["openai"], ["chat"])
    assert key["allowed_models"] == ["gpt-4o", "claude-3.5-*"]
    assert key["ip_allowlist"] == ["192.168.1.0/24", "10.0.0.1"]
    assert key["metadata"] == {"team": "backend"}
    assert key["mcp"] == {
        "enabled": True,
        "access_mode": "allow_list",
        "servers": ["github"],
        "tools": {"github": ["search_issues"]},
    }


async def test_mistakes_stand_beside_their_fields_and_nothing_is_lost(dashboard: Dashboard) -> None:
    typed = {
        "name": "",
        "requests_per_minute": "many",
        "ip_allowlist": "10.0.0.1/8",
        "metadata": '{"a": <script>',
        "budget_timezone": "Mars/Olympus",
        "mcp_tools_more:github": "a b",
    }
    page = await send_new(dashboard, **typed)
    assert page.status == 422
    for message in (
        "Must not be empty.",
        "Must be a whole number; leave it empty for no limit.",
        "has bits set beyond its prefix; write 10.0.0.0/8.",
        "This is no JSON: line 1, column 7",
        "is not a known time zone",
    ):
        assert message in unescape(page.text)
    sent = fields_of(page)
    assert {name: sent[name] for name in typed} == typed
    for name in ("name", "requests_per_minute", "ip_allowlist", "metadata", "budget_timezone"):
        assert f'id="{name}-error"' in page.text
        assert re.search(
            rf'id="{name}"[^>]*aria-describedby="{name}-error[^"]*" aria-invalid="true"', page.text
        )
    assert page.text.count("to correct</span>") == 2
    assert re.search(r'id="tab-basic" checked', page.text)
    assert await all_keys(dashboard) == []


async def test_all_providers_off_is_a_mistake(dashboard: Dashboard) -> None:
    sent = fields_of(await dashboard.get(NEW))
    sent["name"] = "x"
    sent.popall("providers")
    page = await dashboard.post(NEW, sent)
    assert page.status == 422
    assert "Turn on at least one." in page.text
    assert fields_of(page).getall("providers", []) == []


async def test_managers_make_keys_for_others(dashboard: Dashboard) -> None:
    for email in ("ada@example.com", "grace@example.com"):
        await dashboard.store.registry.add_member("default", email)
    path = f"{NEW}?for=user"
    page = await send_new(dashboard, path, name="x")
    assert page.status == 422
    assert "Choose whose key this is." in page.text
    assert "Create Key for User" in page.text
    assert (await send_new(dashboard, path, name="x", owner="grace@example.com")).status == 200
    assert [key["owner"] for key in await all_keys(dashboard)] == ["grace@example.com"]
    page = await send_new(dashboard, path, name="y", owner="nobody@example.com")
    assert "nobody@example.com is not a member of default." in page.text


async def test_members_make_keys_of_their_own_only(dashboard: Dashboard) -> None:
    dashboard.actor = acting_as(Role.MEMBER)
    page = await dashboard.get(f"{NEW}?for=user")
    assert 'name="owner"' not in page.text
    assert (await send_new(dashboard, name="x")).status == 200
    assert (await send_new(dashboard, name="y", owner="ada@example.com")).status == 403


async def test_viewers_make_none(dashboard: Dashboard) -> None:
    dashboard.actor = acting_as(Role.VIEWER)
    assert (await dashboard.get(NEW)).status == 403
    assert (await dashboard.post(NEW, {"name": "x"})).status == 403


async def test_a_silent_gateway_offers_no_toggles(dashboard: Dashboard) -> None:
    dashboard.view.silent = True
    page = await dashboard.get(NEW)
    assert "its providers are not known" in page.text
    assert (await send_new(dashboard, name="x")).status == 200


async def test_an_edit_changes_what_was_changed(dashboard: Dashboard) -> None:
    made = await dashboard.admin.keys.create(
        OWNER, {"name": "x", "burst": 5, "requests_per_minute": 5, "allowed_models": ["a,b"], "expires_in": "90d"}
    )  # fmt: skip
    path = f"{KEYS}/{made.key['id']}/edit"
    opened = await dashboard.get(path + "?search=x")
    sent = fields_of(opened)
    sent["name"] = "y"
    page = await dashboard.post(path + "?search=x", sent)
    assert (page.status, page.location) == (303, f"{PREFIX}{KEYS}/{made.key['id']}?search=x")
    (key,) = await all_keys(dashboard)
    unchanged = {
        name: value for name, value in made.key.items() if name not in ("name", "revision", "live_on")
    }
    assert {name: key[name] for name in unchanged} == unchanged
    assert (key["name"], key["revision"]) == ("y", 2)
    assert "Your changes are saved." in (await dashboard.get(page.location.removeprefix(PREFIX))).text


async def test_nothing_changed_is_no_revision(dashboard: Dashboard) -> None:
    made = await dashboard.admin.keys.create(OWNER, {"name": "x"})
    path = f"{KEYS}/{made.key['id']}/edit"
    assert (await dashboard.post(path, fields_of(await dashboard.get(path)))).status == 303
    assert (await all_keys(dashboard))[0]["revision"] == 1


async def test_an_edit_of_what_changed_meanwhile_is_kept_and_shown_again(dashboard: Dashboard) -> None:
    made = await dashboard.admin.keys.create(OWNER, {"name": "x"})
    path = f"{KEYS}/{made.key['id']}/edit"
    sent = fields_of(await dashboard.get(path))
    await dashboard.admin.keys.update(OWNER, made.key["id"], {"requests_per_minute": 9})
    sent["name"] = "mine"
    page = await dashboard.post(path, sent)
    assert page.status == 422
    assert "This key was changed since you opened the form." in page.text
    again = fields_of(page)
    assert again["name"] == "mine"
    assert (await dashboard.post(path, again)).status == 303
    assert (await all_keys(dashboard))[0]["name"] == "mine"


async def test_an_edit_with_mistakes_changes_nothing(dashboard: Dashboard) -> None:
    made = await dashboard.admin.keys.create(OWNER, {"name": "x"})
    path = f"{KEYS}/{made.key['id']}/edit"
    sent = fields_of(await dashboard.get(path))
    sent.update({"name": "y", "ip_allowlist": "nowhere"})
    page = await dashboard.post(path, sent)
    assert page.status == 422
    assert re.search(r'id="tab-advanced" checked', page.text)
    assert (await all_keys(dashboard))[0]["name"] == "x"


async def test_keys_of_others_cannot_be_edited(dashboard: Dashboard) -> None:
    made = await dashboard.admin.keys.create(OWNER, {"name": "x"})
    path = f"{KEYS}/{made.key['id']}/edit"
    dashboard.actor = acting_as(Role.MEMBER)
    assert (await dashboard.get(path)).status == 404
    dashboard.actor = acting_as(Role.VIEWER)
    assert (await dashboard.get(path)).status == 403
    assert (await dashboard.post(path, {"name": "y"})).status == 403


async def test_a_form_far_too_large_is_refused(dashboard: Dashboard) -> None:
    body = io.BytesIO(b"name=" + b"x" * 2_000_000)
    page = await dashboard.post(NEW, body, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert page.status == 413
    assert "Too large" in page.text


async def test_every_endpoint_is_offered(dashboard: Dashboard) -> None:
    assert fields_of(await dashboard.get(NEW)).getall("endpoints") == list(ENDPOINTS)
