"""Flags: what each one means in a draft, and each mistake under its own name."""

import pytest

from gateway_proxy.cli.scope_flags import FLAGS

GOOD = {
    "--owner": ("ada@example.com", "owner", "ada@example.com"),
    "--expires": ("2031-01-01", "expires_at", "2031-01-01T00:00:00Z"),
    "--rpm": ("0", "requests_per_minute", 0),
    "--tpm": ("200000", "tokens_per_minute", 200000),
    "--burst": ("7", "burst", 7),
    "--max-parallel": ("5", "max_parallel_requests", 5),
    "--budget-usd": ("25", "budget_usd", "25.00"),
    "--budget-period": ("month", "budget_period", "month"),
    "--budget-timezone": ("Europe/Berlin", "budget_timezone", "Europe/Berlin"),
    "--alerts": ("100,50", "alert_thresholds", [50, 100]),
    "--providers": ("openai, groq", "allowed_providers", ["openai", "groq"]),
    "--models": ("none", "allowed_models", []),
    "--endpoints": ("chat,mcp", "allowed_endpoints", ["chat", "mcp"]),
    "--ips": ("10.0.0.0/8,::1", "ip_allowlist", ["10.0.0.0/8", "::1"]),
    "--metadata": ('{"team":"x"}', "metadata", {"team": "x"}),
}
BAD = {
    "--name": "",
    "--owner": "ada",
    "--expires": "soon",
    "--rpm": "-1",
    "--tpm": "1.5",
    "--burst": "x",
    "--max-parallel": "",
    "--budget-usd": "1e99",
    "--budget-period": "year",
    "--budget-timezone": "Mars/Base",
    "--alerts": "0",
    "--providers": "OpenAI",
    "--models": "a*b",
    "--endpoints": "chats",
    "--ips": "10.0.0.1/8",
    "--metadata": "[]",
    "--mcp-mode": "some",
    "--mcp-servers": "GitHub",
    "--mcp-tools": "github",
}


def test_the_tables_of_this_test_are_whole() -> None:
    assert BAD.keys() == {flag.name for flag in FLAGS}


def test_every_flag_sets_its_member(cli) -> None:
    arguments = [part for flag, (text, _, _) in GOOD.items() for part in (flag, text)]
    shown = cli("keys", "create", "--name", "a", "--strict", "--json", *arguments).json["key"]
    assert {member: shown[member] for _, member, _ in GOOD.values()} == {m: v for _, m, v in GOOD.values()}
    assert shown["strict"] is True


def test_mcp_flags(cli) -> None:
    arguments = ["--mcp", "--mcp-mode", "allow_list", "--mcp-servers", "github,jira"]
    shown = cli(
        "keys", "create", "--name", "a", "--json", *arguments, "--mcp-tools", "github/a,github/b,jira/none"
    ).json
    assert shown["key"]["mcp"] == {
        "enabled": True,
        "access_mode": "allow_list",
        "servers": ["github", "jira"],
        "tools": {"github": ["a", "b"], "jira": []},
    }
    changed = cli("keys", "update", "a", "--no-mcp", "--no-mcp-servers", "--json").json["mcp"]
    assert changed == {**shown["key"]["mcp"], "enabled": False, "servers": []}


@pytest.mark.parametrize("command", ["create", "update"])
@pytest.mark.parametrize(("flag", "value"), BAD.items())
def test_a_mistake_is_one_line_under_its_flag(cli, tmp_path, command, flag, value) -> None:
    rest = ["--name", "a"] if command == "create" and flag != "--name" else []
    target = ["key_x"] if command == "update" else []
    outcome = cli("keys", command, *target, *rest, flag, value)
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.startswith(f"gateway-proxy: {flag}: ")
    assert outcome.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_all_mistakes_in_that_one_line(cli) -> None:
    err = cli("keys", "create", "--name", "a", "--owner", "x", "--ips", "10.0.0.1/8").err
    assert "--owner: " in err
    assert "--ips: " in err
    assert "write 10.0.0.0/8" in err


def test_a_token_has_a_life_of_seconds(cli) -> None:
    made = cli("keys", "create", "--name", "a", "--ephemeral", "--ttl", "60", "--json").json
    assert made["secret"].startswith("gwe_") and made["key"]["kind"] == "ephemeral"
    for arguments, mistake in (
        (["--ttl", "60"], "--ttl: is for ephemeral tokens; add --ephemeral, or use --expires"),
        (["--ephemeral", "--ttl", "0"], "--ttl"),
        (["--ephemeral", "--expires", "30d"], "--expires: cannot stand together with ephemeral"),
    ):
        outcome = cli("keys", "create", "--name", "a", *arguments)
        assert outcome.code == 2 and mistake in outcome.err
    assert cli("keys", "update", "a", "--ttl", "5").code == 2  # no such flag


def test_no_x_clears_x(cli) -> None:
    arguments = [part for flag, (text, _, _) in GOOD.items() for part in (flag, text)]
    full = cli("keys", "create", "--name", "a", "--json", *arguments).json["key"]
    clearing = [f"--no-{flag.name[2:]}" for flag in FLAGS if flag.clearable]
    cleared = cli("keys", "update", "a", "--json", *clearing).json
    plain = cli("keys", "create", "--name", "plain", "--owner", "ada@example.com", "--json").json["key"]
    differing = {member for member in cleared if cleared[member] != plain[member]}
    assert differing == {"id", "name", "preview", "created_at", "revision"}
    assert full["budget_usd"] == "25.00"


def test_setting_and_clearing_at_once_is_a_contradiction(cli) -> None:
    outcome = cli("keys", "update", "a", "--rpm", "5", "--no-rpm")
    assert outcome.code == 2
    assert "--rpm and --no-rpm" in outcome.err
