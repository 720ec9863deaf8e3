"""How a key reads: limits in words, long names cut, live or not."""

import pytest

from gateway_proxy.cli.key_text import live_sentence, print_key, print_keys
from gateway_proxy.core.key import Key
from gateway_proxy.keys.draft import apply_creation
from gateway_proxy.keys.view import LiveOn, key_object
from tests.gateway_proxy.keys.test_draft import BLANK, FULL, NOW


def test_every_scope_is_told(capsys) -> None:
    print_key(key_object(apply_creation(BLANK, {**FULL, "allowed_endpoints": []}, NOW), NOW))
    text = capsys.readouterr().out
    for part in ("25.00 USD, total, UTC", "50%, 80%, 100%", "600", "gpt-4o, claude-3.5-*", "none allowed",
                 "192.168.1.0/24, 10.0.0.1", "allow_list; github; github: search_issues"):  # fmt: skip
        assert part in text


def test_no_limits_are_told_too(capsys) -> None:
    print_key(key_object(Key(id="key_1", name="a", organization="o", owner="local"), NOW))
    text = capsys.readouterr().out
    assert text.count("no limit") == 8
    assert "never" in text


def test_long_names_are_cut_in_the_list(capsys) -> None:
    print_keys([key_object(Key(id="key_1", name="x" * 100, organization="o", owner="local"), NOW)])
    assert f" {'x' * 39}… " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("live_on", "start"),
    [
        (LiveOn(0, 0), "No gateway is attached"),
        (LiveOn(1, 1), "Live on the attached gateway."),
        (LiveOn(3, 3), "Live on all 3 attached gateways."),
        (LiveOn(3, 1), "Live on 1 of 3 attached gateways so far"),
    ],
)
def test_live(live_on: LiveOn, start: str) -> None:
    key = Key(id="key_1", name="a", organization="o", owner="local")
    assert live_sentence(key_object(key, NOW, live_on=live_on)).startswith(start)
