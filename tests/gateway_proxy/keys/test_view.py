"""The key object: every member that a creation takes, plus what the gateway knows of the key."""

from gateway_proxy.core.key import Key
from gateway_proxy.keys.draft import apply_creation, apply_patch
from gateway_proxy.keys.view import KeyStats, LiveOn, changed_members, format_time, key_object, scope_members
from tests.gateway_proxy.keys.test_draft import BLANK, FULL, NOW


def test_times() -> None:
    assert format_time(None) is None
    assert format_time(0) == "1970-01-01T00:00:00Z"
    assert format_time(1_893_456_000_007) == "2030-01-01T00:00:00.007Z"
    assert format_time(253_402_300_799_999) == "9999-12-31T23:59:59.999Z"


def test_the_scopes_come_back_as_they_were_sent() -> None:
    key = apply_creation(BLANK, FULL, NOW)
    sent = {m: v for m, v in FULL.items() if m not in ("expires_in", "ephemeral")}
    shown = scope_members(key)
    assert shown.pop("expires_at") == format_time(key.expires_at)
    assert shown == sent


def test_what_is_shown_can_be_sent_back_unchanged() -> None:
    key = apply_creation(BLANK, FULL, NOW)
    assert apply_patch(key, scope_members(key), NOW) == key
    expired = apply_creation(BLANK, {"name": "a", "expires_at": "2026-12-31T23:59:59.123Z"}, NOW)
    assert apply_patch(expired, scope_members(expired), NOW * 2) == expired


def test_the_whole_object() -> None:
    key = Key(id="key_1", name="a", organization="o", owner="local", preview="gwk_AbCd…wxyz", budget_nanos=0)
    stats = KeyStats(5, NOW, 12.5, 1_230_000_000, 1)
    shown = key_object(key, NOW, stats, LiveOn(2, 1))
    assert shown | scope_members(key) == shown
    rest = {member: value for member, value in shown.items() if member not in scope_members(key)}
    assert rest == {
        "id": "key_1",
        "kind": "key",
        "parent_id": None,
        "organization": "o",
        "preview": "gwk_AbCd…wxyz",
        "status": "active",
        "created_at": "1970-01-01T00:00:00Z",
        "last_used_at": format_time(NOW),
        "requests": 5,
        "usage_percent": 12.5,
        "spent_usd": "1.23",
        "reserved_usd": "0.000000001",
        "revision": 1,
        "live_on": {"gateways": 2, "acked": 1},
    }
    assert shown["budget_usd"] == "0.00"


def test_changed_members_tell_true_from_one() -> None:
    before = apply_creation(BLANK, {"name": "a", "metadata": {"n": 1}}, NOW)
    after = apply_patch(before, {"metadata": {"n": True}}, NOW)
    assert changed_members(before, after) == {"metadata": [{"n": 1}, {"n": True}]}
    assert changed_members(before, before) == {}
