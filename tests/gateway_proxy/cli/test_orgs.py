from pathlib import Path

from tests.gateway_proxy.cli.conftest import Cli


def test_organizations_are_added_with_their_first_owner(cli: Cli) -> None:
    done = cli("orgs", "add", "acme", "--owner", "zoe@example.com")
    assert done.code == 0 and "acme" in done.out and "/dashboard/invite/" in done.out
    plain = cli("orgs", "add", "other", "--json").json
    assert plain["link"] is None and plain["organization"]["name"] == "other"
    listed = cli("orgs", "list", "--json").json
    assert [o["name"] for o in listed["data"]] == ["acme", "other"]
    assert plain["organization"] in listed["data"]
    assert "acme" in cli("orgs", "list").out


def test_a_gateway_for_all_organizations_manages_members_of_each(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[gateway]\norganization = "*"\n')
    cli("orgs", "add", "acme", "--owner", "zoe@example.com")
    added = cli("members", "add", "zoe@example.com", "-c", "config.toml", "--json")
    assert added.json["member"]["organization"] == "default"
    more = cli("members", "add", "bob@example.com", "--organization", "acme", "-c", "config.toml", "--json")
    assert more.json["member"]["organization"] == "acme"
    listed = cli("members", "list", "-c", "config.toml", "--json").json["data"]
    assert [(m["email"], m["organization"]) for m in listed] == [
        ("bob@example.com", "acme"), ("zoe@example.com", "acme"), ("zoe@example.com", "default"),
    ]  # fmt: skip
    done = cli("members", "set-role", "zoe@example.com", "viewer", "-c", "config.toml")
    assert done.code == 1 and "several organizations" in done.err


def test_a_wrong_name_is_one_clear_line(cli: Cli) -> None:
    cli("orgs", "add", "acme")
    for code, text, name in (
        (1, "acme already", "acme"),
        (2, "NAME: ", "*"),
        (2, "NAME: ", "a b"),
        (2, "NAME: ", ""),
    ):
        done = cli("orgs", "add", name)
        assert "--name" not in done.err
        assert done.code == code and text in done.err and len(done.err.splitlines()) == 1


def test_an_empty_store_has_none(cli: Cli) -> None:
    cli("keys", "create", "--name", "one")
    assert cli("orgs", "list").code == 0
