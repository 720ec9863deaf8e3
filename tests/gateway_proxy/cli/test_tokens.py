import re

from gateway_proxy.keys.secret import looks_like_secret
from tests.gateway_proxy.cli.conftest import Cli


def test_a_token_is_made_listed_and_revoked(cli: Cli) -> None:
    done = cli("tokens", "create", "--role", "admin", "--expires", "90d", "--name", "ci")
    assert done.code == 0, done.err
    secret = re.findall(r"gwa_\w+", done.out)[0]
    assert looks_like_secret(secret)
    listed = cli("tokens", "list", "--json").json["data"]
    assert [(t["name"], t["role"], t["member"], t["status"]) for t in listed] == [
        ("ci", "admin", None, "active")
    ]
    assert secret not in cli("tokens", "list").out and "ci" in cli("tokens", "list").out
    assert cli("tokens", "revoke", listed[0]["id"], "--json").json == listed[0]
    assert cli("tokens", "list").out == "No admin tokens.\n"


def test_a_members_token(cli: Cli) -> None:
    cli("members", "add", "bob@example.com")
    made = cli(
        "tokens",
        "create",
        "--role",
        "member",
        "--member",
        "Bob@example.com",
        "--expires",
        "2099-01-01",
        "--json",
    ).json
    assert set(made) == {"token", "secret"}
    assert (made["token"]["member"], made["token"]["expires_at"]) == (
        "bob@example.com",
        "2099-01-01T00:00:00Z",
    )
    assert "Revoked the token gwa_" in cli("tokens", "revoke", made["token"]["id"]).out


def test_what_cannot_be_is_one_clear_line(cli: Cli) -> None:
    cli("members", "add", "bob@example.com")
    for code, text, arguments in (
        (2, "--role", ("create", "--expires", "never")),
        (2, "--expires", ("create", "--role", "admin")),
        (2, "1y, or a date (", ("create", "--role", "admin", "--expires", "2d")),
        (2, "--expires: ", ("create", "--role", "admin", "--expires", "2020-01-01")),
        (2, "--member: ", ("create", "--role", "admin", "--expires", "never", "--member", "eve@example.com")),
        (
            2,
            "--role: admin is more",
            ("create", "--role", "admin", "--expires", "never", "--member", "bob@example.com"),
        ),
        (2, "--member: is needed", ("create", "--role", "member", "--expires", "never")),
        (1, "there is no token tok_1", ("revoke", "tok_1")),
    ):
        done = cli("tokens", *arguments)
        assert (done.code, done.out) == (code, ""), arguments
        assert text in done.err and len(done.err.splitlines()) == 1
