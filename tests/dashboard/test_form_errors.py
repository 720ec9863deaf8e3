import pytest

from dashboard.form_errors import TABS, FormErrors
from gateway_proxy.keys.fields import FieldError


@pytest.mark.parametrize(
    ("path", "field", "tab"),
    [
        ("name", "name", "basic"),
        ("owner", "owner", "basic"),
        ("expires_in", "expires", "basic"),
        ("expires_at", "expires", "basic"),
        ("alert_thresholds[2]", "alert_thresholds", "basic"),
        ("allowed_providers", "providers", "basic"),
        ("ttl_seconds", "ttl_seconds", "basic"),
        ("allowed_models[0]", "allowed_models", "advanced"),
        ("allowed_endpoints[1]", "endpoints", "advanced"),
        ("ip_allowlist[11]", "ip_allowlist", "advanced"),
        ("metadata", "metadata", "advanced"),
        ("mcp.enabled", "mcp_enabled", "mcp"),
        ("mcp.servers[0]", "mcp_servers", "mcp"),
        ("mcp.tools.github[3]", "mcp_tools", "mcp"),
        ("mcp.tools.odd.name", "mcp_tools", "mcp"),
    ],
)
def test_a_mistake_stands_beside_its_field(path: str, field: str, tab: str) -> None:
    errors = FormErrors([FieldError(path, "is wrong")])
    assert errors.of(field) == ["Is wrong."]
    assert {name: errors.in_tab(name) for name in TABS} == {name: int(name == tab) for name in TABS}
    assert errors.first_tab("basic") == tab


@pytest.mark.parametrize("path", ["", "burst", "mcp", "unknown"])
def test_a_mistake_of_no_field_stands_above_the_form(path: str) -> None:
    errors = FormErrors([FieldError(path, "is wrong")])
    assert errors
    assert errors.of("") == ["Is wrong."]


def test_the_open_tab_stays_if_it_can() -> None:
    assert FormErrors().first_tab("mcp") == "mcp"
    assert FormErrors().first_tab("nonsense") == "basic"
    both = FormErrors([FieldError("name", "x"), FieldError("mcp.servers", "x")])
    assert both.first_tab("mcp") == "mcp"
    assert both.first_tab("advanced") == "basic"


def test_words_of_the_api_become_words_of_the_form() -> None:
    errors = FormErrors([FieldError("requests_per_minute", "must be a whole number; null means no limit")])
    assert errors.of("requests_per_minute") == ["Must be a whole number; leave it empty for no limit."]


def test_many_mistakes_are_counted() -> None:
    errors = FormErrors([FieldError(f"ip_allowlist[{i}]", f"'{i}' is wrong") for i in range(10)])
    assert errors.of("ip_allowlist") == ["'0' is wrong.", "'1' is wrong.", "'2' is wrong.", "And 7 more."]
    assert errors.in_tab("advanced") == 1


def test_one_message_is_told_once() -> None:
    assert len(FormErrors([FieldError("metadata", "x"), FieldError("metadata", "x")]).of("metadata")) == 1
