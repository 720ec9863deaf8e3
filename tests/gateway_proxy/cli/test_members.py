import re

from tests.gateway_proxy.cli.conftest import Cli

LINK = re.compile(r"http://127\.0\.0\.1:8080/dashboard/(invite|reset)/[\w-]{43}")


def test_a_member_is_invited_by_a_link(cli: Cli) -> None:
    done = cli("members", "add", "Bob@example.com", "--role", "owner", "--name", "Bob")
    assert done.code == 0, done.err
    assert LINK.search(done.out) and "bob@example.com" in done.out and "invited" in done.out
    listed = cli("members", "list", "--json").json["data"]
    assert [(m["email"], m["role"], m["status"], m["organization"]) for m in listed] == [
        ("bob@example.com", "owner", "invited", "default")
    ]
    assert "bob@example.com" in cli("members", "list").out
    assert cli("members", "list", "--search", "eve").out == "No members.\n"


def test_the_answers_are_the_apis_objects(cli: Cli) -> None:
    made = cli("members", "add", "bob@example.com", "--json").json
    assert set(made) == {"member", "link"} and LINK.fullmatch(made["link"])
    again = cli("members", "setup-link", "BOB@example.com", "--json").json
    assert again["member"] == made["member"] and again["link"] != made["link"]
    changed = cli("members", "set-role", made["member"]["id"], "viewer", "--json").json
    assert changed == made["member"] | {"role": "viewer"}
    assert cli("members", "remove", "bob@example.com", "--json").json == changed
    assert cli("members", "list", "--json").json["data"] == []


def test_a_removed_members_keys_are_handed_on_or_deactivated(cli: Cli) -> None:
    for name in ("ada", "bob", "eve"):
        cli("members", "add", f"{name}@example.com", "--role", "owner")
    for name in ("bob", "eve"):
        assert cli("keys", "create", "--name", name, "--owner", f"{name}@example.com").code == 0
    assert "deactivated" in cli("members", "remove", "eve@example.com").out
    assert (
        "handed to ada" in cli("members", "remove", "bob@example.com", "--transfer-to", "ada@example.com").out
    )
    shown = {key["name"]: (key["owner"], key["status"]) for key in cli("keys", "list", "--json").json["data"]}
    assert shown == {"bob": ("ada@example.com", "active"), "eve": ("eve@example.com", "inactive")}


def test_what_cannot_be_is_one_clear_line(cli: Cli) -> None:
    cli("members", "add", "ada@example.com", "--role", "owner")
    for code, text, arguments in (
        (1, "there is no member eve@example.com", ("set-role", "eve@example.com", "viewer")),
        (1, "there is no member mem_", ("remove", "mem_01j9aaaaaaaaaaaaaaaaaaaaaa")),
        (1, "last owner", ("remove", "ada@example.com")),
        (1, "last owner", ("set-role", "ada@example.com", "admin")),
        (1, "already", ("add", "ada@example.com")),
        (2, "E-MAIL: must be an e-mail address", ("add", "ada")),
        (2, "--organization: ", ("add", "bob@example.com", "--organization", "nowhere")),
        (2, "--transfer-to: ", ("remove", "ada@example.com", "--transfer-to", "eve@example.com")),
        (2, "king", ("add", "bob@example.com", "--role", "king")),
    ):
        done = cli("members", *arguments)
        assert (done.code, done.out) == (code, ""), arguments
        assert text in done.err and len(done.err.splitlines()) == 1


def test_without_a_store_nothing_is_listed_or_made(cli: Cli) -> None:
    done = cli("members", "list")
    assert done.code == 1 and "there is no store" in done.err
