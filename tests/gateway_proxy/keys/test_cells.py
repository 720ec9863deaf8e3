"""Cells and flags: text to JSON and back."""

import pytest

from gateway_proxy.keys.cells import read_cell, read_expiry, read_tools, write_cell
from gateway_proxy.keys.draft import apply_creation
from gateway_proxy.keys.view import scope_members
from tests.gateway_proxy.keys.test_draft import BLANK, FULL, NOW


def test_every_member_survives_the_way_through_text() -> None:
    members = scope_members(
        apply_creation(BLANK, {**FULL, "burst": 0, "allowed_endpoints": [], "strict": True}, NOW)
    )
    for member, value in members.items():
        text = write_cell(value)
        if value is None:
            assert text == ""
        else:
            assert read_cell(member, text) == value


@pytest.mark.parametrize(
    ("member", "text"),
    [
        ("burst", "1.0"),
        ("burst", "٣"),
        ("burst", "9" * 31),
        ("allowed_models", "a,,b"),
        ("alert_thresholds", "50,x"),
        ("metadata", "{"),
        ("metadata", "5"),
        ("metadata", "[" * 100_000),
        ("strict", "yes"),
    ],
)
def test_texts_of_the_wrong_shape(member: str, text: str) -> None:
    with pytest.raises(ValueError):
        read_cell(member, text)


def test_expiry() -> None:
    assert read_expiry("never") == {"expires_in": "never"}
    assert read_expiry("90d") == {"expires_in": "90d"}
    assert read_expiry("2030-01-01") == {"expires_at": "2030-01-01T00:00:00Z"}
    assert read_expiry("2030-01-01T01:02:03+01:00") == {"expires_at": "2030-01-01T01:02:03+01:00"}


def test_tools() -> None:
    assert read_tools("github/a,github/b,jira/none") == {"github": ["a", "b"], "jira": []}
    assert read_tools("none") == {}
    assert read_tools("github/repos/list") == {"github": ["repos/list"]}
    for text in ("github", "/a", "github/", "a/b,"):
        with pytest.raises(ValueError):
            read_tools(text)
