"""`keys explain` on the local store: the books are known, buckets count as full, the exit code is 0 either way."""

from pathlib import Path
from typing import Any

import pytest

SETTINGS = """
[[providers]]
name = "one"
dialect = "openai"
base_url = "http://127.0.0.1:9/v1"
[[models]]
name = "m"
targets = [{ provider = "one", model = "m" }]
price = { input = 1, output = 1 }
max_output_tokens = 1000
"""


@pytest.fixture
def ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli) -> Any:
    (tmp_path / "config.toml").write_text(SETTINGS)
    monkeypatch.setenv("GATEWAY_PROXY_CONFIG", "config.toml")
    return cli


def verdicts(told: dict[str, Any]) -> dict[str, str]:
    return {v["rule"]: v["verdict"] for v in told["verdicts"]}


def test_what_passes_and_what_does_not(ready) -> None:
    key = ready(
        "keys", "create", "--name", "a", "--models", "m", "--rpm", "5", "--budget-usd", "0.01", "--ips", "10.0.0.0/8",
        "--mcp", "--mcp-mode", "deny_list", "--mcp-servers", "github", "--json",
    ).json["key"]["id"]  # fmt: skip
    outcome = ready("keys", "explain", key, "--model", "m", "--ip", "10.1.1.1", "--json")
    assert outcome.code == 0 and outcome.json["allowed"] is True
    assert verdicts(outcome.json) == {
        "status": "allow", "network": "allow", "route": "allow", "endpoint": "allow", "model": "allow",
        "provider": "allow", "price": "allow", "rate": "allow", "budget": "allow", "mcp": "skip",
    }  # fmt: skip
    denied = ready("keys", "explain", "a", "--model", "other", "--mcp-tool", "github/x")
    assert denied.code == 0 and "would be refused: model_not_found" in denied.out
    assert "mcp_disabled" in denied.out and "leaves out the server 'github'" in denied.out
    at = ready("keys", "explain", key, "--model", "m", "--provider", "two", "--ip", "1.1.1.1", "--json").json
    assert at["allowed"] is False
    assert [v["code"] for v in at["verdicts"] if v["code"]] == ["ip_not_allowed", "model_not_found"]


def test_a_spent_budget_is_known(ready) -> None:
    key = ready("keys", "create", "--name", "a", "--budget-usd", "0", "--json").json["key"]["id"]
    told = ready("keys", "explain", key, "--model", "m", "--json").json
    refused = [v for v in told["verdicts"] if v["verdict"] == "deny"]
    assert [v["code"] for v in refused] == ["insufficient_quota"] and "$0.00 of $0.00 is left" in refused[0][
        "detail"
    ]


def test_a_shadowed_key_is_told_what_it_would_be(ready) -> None:
    shown = ready("keys", "create", "--name", "a", "--models", "none", "--shadow", "--json").json["key"]
    assert shown["shadow"] is True
    told = ready("keys", "explain", "a", "--model", "m", "--json").json
    assert told["allowed"] is True and verdicts(told)["model"] == "deny"
    assert "shadow" in ready("keys", "show", "a").out
    assert ready("keys", "update", "a", "--no-shadow", "--json").json["shadow"] is False
    assert ready("keys", "explain", "a", "--model", "m", "--json").json["allowed"] is False


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ((), "--model"),
        (("--model", "m", "--ip", "x"), "--ip"),
        (("--model", "m", "--mcp-tool", "x"), "--mcp-tool"),
    ],
)
def test_wrong_questions_are_usage_errors(ready, flags: tuple[str, ...], told: str) -> None:
    ready("keys", "create", "--name", "a")
    outcome = ready("keys", "explain", "a", *flags)
    assert outcome.code == 2 and told in outcome.err


def test_an_unknown_key(ready) -> None:
    ready("keys", "create", "--name", "a")
    outcome = ready("keys", "explain", "b", "--model", "m")
    assert outcome.code == 1 and "no key with the id or name" in outcome.err
