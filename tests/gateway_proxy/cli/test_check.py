"""`check` and `config schema`."""

import json

GOOD = """
[[providers]]
name = "mine"
dialect = "openai"
base_url = "http://127.0.0.1:9/v1"
models = ["priceless"]

[[models]]
name = "priced"
targets = [{ provider = "mine", model = "x" }]
price = { input = 1, output = 2 }
"""


def test_a_good_file(cli, tmp_path) -> None:
    (tmp_path / "config.toml").write_text(GOOD)
    outcome = cli("check", "-c", "config.toml")
    assert (outcome.code, outcome.err) == (0, "")
    assert "config.toml: valid" in outcome.out
    assert outcome.out.endswith("keys with a budget cannot use them:\n  priceless\n")
    assert cli("check", "-c", "config.toml", "--json").json == {
        "valid": True,
        "errors": [],
        "models": 2,
        "unpriced_models": ["priceless"],
    }
    assert [path.name for path in tmp_path.iterdir()] == ["config.toml"]


def test_every_mistake_with_its_line(cli, tmp_path) -> None:
    (tmp_path / "config.toml").write_text('[server]\nlisten = 5\ncolour = "red"\n')
    outcome = cli("check", "-c", "config.toml")
    assert (outcome.code, outcome.out) == (1, "")
    first, second = outcome.err.splitlines()
    assert (
        first.startswith(f"{tmp_path}/config.toml:2: server.listen: ")
        or "config.toml:2: server.listen: " in first
    )
    assert "config.toml:3: server.colour: " in second
    errors = cli("check", "-c", "config.toml", "--json").json["errors"]
    assert [(error["line"], error["path"]) for error in errors] == [
        (2, "server.listen"),
        (3, "server.colour"),
    ]


def test_the_environment_names_the_file_and_the_flag_wins(cli, tmp_path, monkeypatch) -> None:
    (tmp_path / "bad.toml").write_text("[nonsense]\n")
    (tmp_path / "good.toml").write_text(GOOD)
    monkeypatch.setenv("GATEWAY_PROXY_CONFIG", "bad.toml")
    assert cli("check").code == 1
    assert cli("check", "-c", "good.toml").code == 0
    monkeypatch.setenv("GATEWAY_PROXY_CONFIG", "")
    assert "built-in defaults: valid" in cli("check").out


def test_a_bad_file_stops_other_commands_with_its_first_mistake(cli, tmp_path) -> None:
    (tmp_path / "config.toml").write_text('[server]\nlisten = 5\ncolour = "red"\n')
    for arguments in (["keys", "list"], ["keys", "create", "--name", "a"], ["migrate"], ["logs"]):
        outcome = cli(*arguments, "-c", "config.toml")
        assert outcome.code == 1
        assert outcome.err.count("\n") == 1
        assert "(and 1 more: run `gateway-proxy check`)" in outcome.err


def test_schema(cli) -> None:
    schema = json.loads(cli("config", "schema").out)
    assert schema["$schema"].endswith("2020-12/schema")
    assert "providers" in schema["properties"]


def test_shared_counters_without_a_store_to_share_are_told_to_be_idle(cli, tmp_path) -> None:
    (tmp_path / "config.toml").write_text(GOOD + '[shared]\nredis_url = "redis://127.0.0.1"\n')
    outcome = cli("check", "-c", "config.toml")
    assert outcome.code == 0 and "shared.redis_url has no effect" in outcome.out
