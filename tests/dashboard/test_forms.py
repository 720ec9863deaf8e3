import json
from dataclasses import replace
from typing import Any

import pytest
from multidict import MultiDict

from dashboard.forms import (
    ALL_OFF,
    KeyForm,
    blank_form,
    find_mistakes,
    form_of,
    read_form,
    to_document,
    to_patch,
)
from gateway_proxy.core.key import BudgetPeriod, Key, McpMode, McpScope
from gateway_proxy.keys.draft import DraftError, apply_creation, apply_patch
from gateway_proxy.keys.fields import ENDPOINTS
from gateway_proxy.keys.view import key_object, scope_members

NOW_MS = 1_790_000_000_000
PROVIDERS = ("openai", "anthropic")
BLANK = Key(id="key_1", name="", organization="default", owner="ada@example.com")
PLAIN = replace(BLANK, name="Plain")
FULL = Key(
    id="key_2",
    name="Production API",
    organization="default",
    owner="ada@example.com",
    expires_at=NOW_MS + 86_400_000,
    requests_per_minute=600,
    tokens_per_minute=0,
    burst=700,
    max_parallel_requests=50,
    budget_nanos=25_000_000_001,
    budget_period=BudgetPeriod.MONTH,
    budget_timezone="Europe/Berlin",
    alert_thresholds=(50, 80, 100),
    allowed_providers=("openai",),
    allowed_models=("gpt-4o", "claude-3.5-*"),
    allowed_endpoints=("chat", "embeddings"),
    ip_allowlist=("192.168.1.0/24", "10.0.0.1"),
    metadata={"team": "backend", "deep": {"é": [1, 1.5, True, None]}, "text": "a\r\nb"},
    strict=True,
    mcp=McpScope(
        True,
        McpMode.DENY_LIST,
        ("github", "linear"),
        {"github": ("search_issues", "a/b"), "jira": (), "linear": ("x",)},
    ),
)
NOTHING_ALLOWED = replace(
    PLAIN, allowed_providers=(), allowed_models=(), allowed_endpoints=(), ip_allowlist=(), budget_nanos=0
)
ALL_NAMED = replace(
    PLAIN, allowed_providers=PROVIDERS, allowed_endpoints=tuple(ENDPOINTS), alert_thresholds=(10,)
)
ODD_NAMES = replace(PLAIN, name='"><script>alert(1)</script>\u202e', allowed_models=("a,b", "none"))
KEYS = [PLAIN, FULL, NOTHING_ALLOWED, ALL_NAMED, ODD_NAMES]


def posted(form: KeyForm) -> MultiDict[str]:
    """What a browser sends of this form: lines end in CR LF."""
    sent = MultiDict((name, text.replace("\n", "\r\n")) for name, text in form.texts.items())
    for group, values in form.chosen.items():
        for value in values:
            sent.add(group, value)
    return sent


def changed(form: KeyForm, texts: dict[str, str] | None = None, **chosen: tuple[str, ...]) -> KeyForm:
    return KeyForm({**form.texts, **(texts or {})}, {**form.chosen, **chosen})


def typed(texts: dict[str, str] | None = None, **chosen: tuple[str, ...]) -> dict[str, Any]:
    """The document of a new key's form with these changes."""
    return to_document(read_form(posted(changed(blank_form(PROVIDERS), texts, **chosen))))[0]


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name[:8])
def test_an_untouched_edit_changes_nothing(key: Key) -> None:
    shown = key_object(key, NOW_MS)
    assert to_patch(read_form(posted(form_of(shown, PROVIDERS))), shown) == ({}, [])


@pytest.mark.parametrize("key", [PLAIN, FULL])
def test_a_document_makes_the_key_again(key: Key) -> None:
    document, errors = to_document(read_form(posted(form_of(key_object(key, NOW_MS), PROVIDERS))))
    assert not errors
    made = apply_creation(BLANK, document, NOW_MS)
    unshown = {"burst": None, "strict": False, "expires_at": None}
    if key is FULL:  # a line break in JSON text is written \n in the field, so it survives; a null does not
        assert made.metadata == key.metadata
    assert scope_members(made) == scope_members(key) | unshown


def test_an_edit_sends_what_was_changed_alone() -> None:
    shown = key_object(FULL, NOW_MS)
    form = changed(form_of(shown, PROVIDERS), {"name": "Other", "requests_per_minute": ""})
    assert to_patch(form, shown) == ({"name": "Other", "requests_per_minute": None}, [])


@pytest.mark.parametrize(
    ("text", "patch"),
    [
        ("", None),
        ('{"team": "backend"}', {"deep": None, "text": None}),
        ('{"team": "front", "deep": {"é": [1, 1.5, true, null]}, "text": "a\\r\\nb"}', {"team": "front"}),
        ('{"team": "backend", "deep": {}, "text": "a\\r\\nb"}', {"deep": {"é": None}}),
    ],
)
def test_metadata_is_patched_so_that_what_is_typed_results(text: str, patch: Any) -> None:
    shown = key_object(FULL, NOW_MS)
    document, errors = to_patch(changed(form_of(shown, PROVIDERS), {"metadata": text}), shown)
    assert not errors
    assert document == {"metadata": patch}
    assert apply_patch(FULL, document, NOW_MS).metadata == (json.loads(text) if text else {})


def test_numbers_that_python_holds_for_equal_differ() -> None:
    key = replace(PLAIN, metadata={"n": 1})
    shown = key_object(key, NOW_MS)
    patch, _ = to_patch(changed(form_of(shown, ()), {"metadata": '{"n": true}'}), shown)
    assert patch == {"metadata": {"n": True}}


def test_tools_are_patched_by_server() -> None:
    shown = key_object(FULL, NOW_MS)
    form = changed(
        form_of(shown, PROVIDERS),
        {"mcp_tools_more:github": "create_issue"},
        mcp_tools_limited=("github", "jira"),
        mcp_tools=("github/search_issues",),
    )
    patch, _ = to_patch(form, shown)
    assert patch == {"mcp": {"tools": {"github": ["search_issues", "create_issue"], "linear": None}}}
    assert apply_patch(FULL, patch, NOW_MS).mcp.tools == {
        "github": ("search_issues", "create_issue"),
        "jira": (),
    }


def test_no_server_with_chosen_tools_clears_them() -> None:
    shown = key_object(FULL, NOW_MS)
    patch, _ = to_patch(changed(form_of(shown, PROVIDERS), mcp_tools_limited=()), shown)
    assert patch == {"mcp": {"tools": None}}
    assert apply_patch(FULL, patch, NOW_MS).mcp.tools == {}


def test_a_blank_form_has_no_limit() -> None:
    made = apply_creation(BLANK, typed({"name": "x"}), NOW_MS)
    assert made == replace(BLANK, name="x")


def test_all_toggles_on_is_null() -> None:
    assert typed(providers=("anthropic", "openai"))["allowed_providers"] is None
    assert typed(endpoints=tuple(reversed(ENDPOINTS)))["allowed_endpoints"] is None


def test_some_toggles_are_a_list() -> None:
    assert typed(providers=("anthropic",))["allowed_providers"] == ["anthropic"]
    assert typed(endpoints=("chat",))["allowed_endpoints"] == ["chat"]


@pytest.mark.parametrize(
    ("group", "path"), [("providers", "allowed_providers"), ("endpoints", "allowed_endpoints")]
)
def test_all_toggles_off_is_a_mistake(group: str, path: str) -> None:
    _, errors = to_document(changed(blank_form(PROVIDERS), **{group: ()}))
    assert [(error.path, error.message) for error in errors] == [(path, ALL_OFF)]


def test_without_toggles_there_is_no_restriction() -> None:
    document, errors = to_document(blank_form(()))
    assert document["allowed_providers"] is None
    assert not errors


def test_what_counts_as_all_is_what_was_shown_then() -> None:
    """A provider that is configured between opening and sending is not silently allowed or denied."""
    form = KeyForm({"name": "x"}, {"providers": ("openai",), "providers_offered": ("openai",)})
    assert to_document(form)[0]["allowed_providers"] is None
    form = KeyForm({"name": "x"}, {"providers": ("openai",), "providers_offered": ("openai", "anthropic")})
    assert to_document(form)[0]["allowed_providers"] == ["openai"]


def test_turning_the_last_toggle_on_lifts_the_restriction() -> None:
    shown = key_object(FULL, NOW_MS)
    patch, _ = to_patch(changed(form_of(shown, PROVIDERS), providers=PROVIDERS), shown)
    assert patch == {"allowed_providers": None}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        (" 600 ", 600),
        ("0", 0),
        ("1,000", 1000),
        ("1 000 000", 1_000_000),
        ("-1", -1),
        ("abc", "abc"),
        ("1.5", "1.5"),
        ("1,00", "1,00"),
        ("٣", "٣"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_numbers(text: str, value: Any) -> None:
    document = typed({"requests_per_minute": text, "tokens_per_minute": text, "max_parallel_requests": text})
    assert document["requests_per_minute"] == value
    assert document["tokens_per_minute"] == value
    assert document["max_parallel_requests"] == value


@pytest.mark.parametrize(
    ("text", "value"), [("", None), ("25", "25"), (" $25.00 ", "25.00"), ("0", "0"), ("much", "much")]
)
def test_budget(text: str, value: Any) -> None:
    assert typed({"budget_usd": text})["budget_usd"] == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("50, 80,100", [50, 80, 100]), ("50% 80%", [50, 80]), ("", []), ("half", ["half"]), ("0;101", [0, 101])],
)
def test_thresholds(text: str, value: Any) -> None:
    assert typed({"budget_usd": "1", "alert_thresholds": text})["alert_thresholds"] == value


def test_thresholds_without_a_budget_are_not_sent() -> None:
    assert "alert_thresholds" not in typed({"alert_thresholds": "nonsense"})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        (" \n ", None),
        ("gpt-4o\nclaude-*", ["gpt-4o", "claude-*"]),
        ("gpt-4o, o3", ["gpt-4o", "o3"]),
        ("none", []),
        ("none\ngpt-4o", ["none", "gpt-4o"]),
    ],
)
def test_lists(text: str, value: Any) -> None:
    document = typed({"allowed_models": text, "ip_allowlist": text})
    assert document["allowed_models"] == value
    assert document["ip_allowlist"] == value


@pytest.mark.parametrize("text", ["{", "{'a': 1}", '{"a": NaN}', '{"a": 1} x', "nonsense"])
def test_metadata_that_is_no_json_says_where(text: str) -> None:
    _, errors = to_document(changed(blank_form(()), {"metadata": text}))
    assert [error.path for error in errors] == ["metadata"]
    assert "line 1, column" in errors[0].message


@pytest.mark.parametrize("text", ["[]", "1", '"text"', "null"])
def test_metadata_that_is_no_object_is_for_the_draft_to_refuse(text: str) -> None:
    document = typed({"name": "x", "metadata": text})
    if text == "null":
        assert apply_creation(BLANK, document, NOW_MS).metadata == {}
        return
    with pytest.raises(DraftError, match="must be a JSON object"):
        apply_creation(BLANK, document, NOW_MS)


def test_expiration() -> None:
    assert typed({"expires": "90d"})["expires_in"] == "90d"
    assert typed()["expires_in"] == "never"
    assert "expires_in" not in typed({"expires": "keep"})
    shown = key_object(FULL, NOW_MS)
    patch, _ = to_patch(changed(form_of(shown, ()), {"expires": "never"}), shown)
    assert patch == {"expires_in": "never"}


def test_an_ephemeral_token_has_a_lifetime_and_no_expiration() -> None:
    document = typed({"expires": "90d"}, ephemeral=("on",))
    assert document["ephemeral"] is True
    assert document["ttl_seconds"] == 3600
    assert "expires_in" not in document


def test_an_owner_is_sent_where_one_was_chosen() -> None:
    assert "owner" not in typed({"owner": " "})
    assert typed({"owner": "ada@example.com"})["owner"] == "ada@example.com"


def test_mcp() -> None:
    document = typed(
        {"mcp_mode": "allow_list", "mcp_servers_more": "linear, github", "mcp_tools_more:github": "a b"},
        mcp_enabled=("on",),
        mcp_servers=("github",),
        mcp_tools_limited=("github", "linear"),
        mcp_tools=("github/c", "linear2/x"),
    )
    assert document["mcp"] == {
        "enabled": True,
        "access_mode": "allow_list",
        "servers": ["github", "linear"],
        "tools": {"github": ["c", "a", "b"], "linear": []},
    }


def test_files_and_unknown_fields_are_passed_over() -> None:
    sent: MultiDict[Any] = MultiDict([("name", object()), ("name", "x"), ("organization", "other")])
    document, _ = to_document(read_form(sent))
    assert document["name"] == "x"
    assert "organization" not in document


def test_mistakes_of_form_and_draft_are_found_together() -> None:
    document, errors = to_document(
        changed(blank_form(PROVIDERS), {"requests_per_minute": "many", "metadata": "{"}, providers=())
    )
    paths = [error.path for error in [*errors, *find_mistakes(document)]]
    assert paths == ["allowed_providers", "metadata", "name", "requests_per_minute"]


def test_a_document_without_mistakes_has_none() -> None:
    assert find_mistakes(typed({"name": "x"})) == []
