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
    ("member", "text", "value"),
    [
        ("alert_thresholds", "[50, 80]", [50, 80]),
        ("alert_thresholds", "[]", []),
        ("allowed_models", '["gpt-4o", "claude-3.5-*"]', ["gpt-4o", "claude-3.5-*"]),
        ("allowed_models", "[beta]gpt,b", ["[beta]gpt", "b"]),
    ],
)
def test_lists_as_the_dashboards_files_have_them(member: str, text: str, value: object) -> None:
    assert read_cell(member, text) == value


def test_a_name_that_looks_like_a_list_survives() -> None:
    for names in (["[1]"], ['["a"]', "b"]):
        assert read_cell("allowed_models", write_cell(names)) == names


@pytest.mark.parametrize(
    ("member", "text"),
    [
        ("alert_thresholds", '["x"]'),
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
