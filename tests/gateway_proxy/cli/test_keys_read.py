"""Lists and details, for people and for programs."""


def names(cli, *arguments: str) -> list[str]:
    return [shown["name"] for shown in cli("keys", "list", "--json", *arguments).json["data"]]


def test_list_searches_filters_and_sorts(cli) -> None:
    for name in ("alpha", "beta", "gamma"):
        cli("keys", "create", "--name", name)
    cli("keys", "revoke", "beta")
    cli("keys", "deactivate", "gamma")
    assert names(cli) == ["alpha", "beta", "gamma"]
    assert names(cli, "--sort", "name", "--order", "desc") == ["gamma", "beta", "alpha"]
    assert names(cli, "--search", "BETA") == ["beta"]
    assert [names(cli, "--status", s) for s in ("active", "revoked", "inactive", "expired")] == [
        ["alpha"], ["beta"], ["gamma"], [],
    ]  # fmt: skip


def test_list_for_people(cli, made) -> None:
    header, row = cli("keys", "list").out.splitlines()
    assert header.split()[:5] == ["ID", "NAME", "OWNER", "KEY", "STATUS"]
    assert row.split()[:5] == [made["key"]["id"], "alpha", "local", made["key"]["preview"], "active"]
    assert cli("keys", "list", "--search", "zeta").out == "No keys.\n"


def test_show(cli, made) -> None:
    shown = cli("keys", "show", made["key"]["id"], "--json").json
    assert shown == made["key"]
    text = cli("keys", "show", "alpha").out
    assert made["key"]["preview"] in text
    assert "budget" in text
    assert made["secret"] not in text


def test_show_of_nothing(cli, made) -> None:
    outcome = cli("keys", "show", "alph")
    assert (outcome.code, outcome.out) == (1, "")
    assert "there is no key with the id or name 'alph'" in outcome.err


def test_keys_of_another_organization_are_not_there(cli, made, tmp_path) -> None:
    (tmp_path / "other.toml").write_text('[gateway]\norganization = "other"\n')
    (tmp_path / "all.toml").write_text('[gateway]\norganization = "*"\n')
    assert names(cli, "-c", "other.toml") == []
    assert names(cli, "-c", "all.toml") == ["alpha"]
    outcome = cli("keys", "revoke", made["key"]["id"], "-c", "other.toml")
    assert outcome.err == f"gateway-proxy: there is no key {made['key']['id']}\n"
