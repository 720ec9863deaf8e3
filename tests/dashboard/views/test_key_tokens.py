import html
import re

import pytest

from gateway_proxy.admin.actor import Role
from gateway_proxy.admin.keys import KeyQuery
from tests.support.dashboard import OWNER, PREFIX, Dashboard, acting_as

KEYS = "/configuration/api-keys"


async def make(dashboard: Dashboard, **members: object) -> str:
    return str((await dashboard.admin.keys.create(OWNER, {"name": "x's <key>", **members})).key["id"])


def token_in(text: str) -> str:
    (token,) = set(re.findall(r"gwe_[0-9A-Za-z_.-]{100,}", text))
    return token


async def test_a_token_is_shown_once_and_narrowed_as_typed(dashboard: Dashboard) -> None:
    key_id = await make(
        dashboard, allowed_models=["gpt-4o", "claude-*"], allowed_providers=["openai", "anthropic"]
    )
    asked = await dashboard.get(f"{KEYS}/{key_id}/ephemeral?search=x")
    assert (
        asked.status == 200
        and 'value="3600"' in asked.text
        and "x&#39;s &lt;key&gt; (ephemeral)" in asked.text
    )
    form = {
        "ttl_seconds": "600", "budget_usd": "$ 0.50", "requests_per_minute": "1,000", "tokens_per_minute": "",
        "allowed_models": "claude-3\nclaude-4", "allowed_providers": "anthropic, gemini", "ip_allowlist": "10.0.0.1",
        "name": "for a guest",
    }  # fmt: skip
    page = await dashboard.post(f"{KEYS}/{key_id}/ephemeral", form)
    assert page.status == 200 and "Ephemeral Token created! Copy it now" in page.text
    token = token_in(page.text)
    (shown,) = [key for key in (await listed(dashboard)) if key["kind"] == "ephemeral"]
    assert shown["preview"] == f"{token[:8]}…{token[-4:]}" and shown["parent_id"] == key_id
    assert (shown["name"], shown["budget_usd"], shown["requests_per_minute"]) == ("for a guest", "0.50", 1000)
    assert shown["allowed_models"] == ["claude-3", "claude-4"] and shown["allowed_providers"] == ["anthropic"]
    assert token not in (await dashboard.get(f"{KEYS}/{shown['id']}")).text


async def listed(dashboard: Dashboard) -> list[dict]:
    return (await dashboard.admin.keys.search(OWNER, KeyQuery())).keys


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"ttl_seconds": "0"}, "Must be a whole number of seconds between 1 and 86400."),
        ({"ttl_seconds": "soon"}, "Must be a whole number of seconds"),
        ({"allowed_models": "other"}, "Names nothing that the parent allows; it allows gpt-4o."),
        ({"budget_usd": "much"}, "budget_usd-error"),
    ],
)
async def test_mistakes_stand_beside_their_fields(
    dashboard: Dashboard, form: dict[str, str], words: str
) -> None:
    key_id = await make(dashboard, allowed_models=["gpt-4o"])
    page = await dashboard.post(f"{KEYS}/{key_id}/ephemeral", {"name": "kept & shown", **form})
    assert page.status == 422 and words in html.unescape(page.text)
    assert "kept &amp; shown" in page.text and "gwe_" not in page.text
    assert len(await listed(dashboard)) == 1


async def test_a_paused_key_makes_none(dashboard: Dashboard) -> None:
    key_id = await make(dashboard)
    assert f"{key_id}/ephemeral" in (await dashboard.get(f"{KEYS}/{key_id}")).text
    await dashboard.admin.keys.deactivate(OWNER, key_id)
    assert f"{key_id}/ephemeral" not in (await dashboard.get(f"{KEYS}/{key_id}")).text
    page = await dashboard.post(f"{KEYS}/{key_id}/ephemeral", {})
    assert page.status == 409 and "only an active key can make tokens" in page.text.lower()


async def test_a_token_offers_only_what_can_be_done_to_it(dashboard: Dashboard) -> None:
    key_id = await make(dashboard)
    token_id = (await dashboard.admin.keys.mint(OWNER, key_id, {}))["id"]
    text = (await dashboard.get(f"{KEYS}/{token_id}")).text
    assert f"{PREFIX}{KEYS}/{key_id}" in text and ">Ephemeral<" in text
    for act, offered in (
        ("edit", False), ("rotate", False), ("ephemeral", False), ("deactivate", True), ("revoke", True), ("delete", True),
    ):  # fmt: skip
        assert (f"{token_id}/{act}" in text) is offered, act
    assert (await dashboard.post(f"{KEYS}/{token_id}/ephemeral", {})).status == 403
    await dashboard.admin.keys.revoke(OWNER, token_id)
    assert f"{token_id}/activate" not in (await dashboard.get(f"{KEYS}/{token_id}")).text


async def test_viewers_and_strangers_make_none(dashboard: Dashboard) -> None:
    key_id = await make(dashboard)
    dashboard.actor = acting_as(Role.VIEWER)
    assert (await dashboard.get(f"{KEYS}/{key_id}/ephemeral")).status == 403
    assert (await dashboard.post(f"{KEYS}/{key_id}/ephemeral", {})).status == 403
    assert (await dashboard.get(f"{KEYS}/key_{'0' * 26}/ephemeral")).status == 404


async def test_the_list_tells_tokens_from_keys(dashboard: Dashboard) -> None:
    key_id = await make(dashboard)
    await dashboard.admin.keys.mint(OWNER, key_id, {"name": "short-lived"})
    for kind, shown in (
        ("all", (True, True)),
        ("key", (True, False)),
        ("ephemeral", (False, True)),
        ("x", (True, True)),
    ):
        text = (await dashboard.get(f"{KEYS}?kind={kind}")).text
        assert (">x&#39;s &lt;key&gt;</a>" in text, ">short-lived</a>" in text) == shown, kind
