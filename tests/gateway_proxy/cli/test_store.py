"""`store copy`: what it prints, and what it refuses in one line."""

from typing import Any

from gateway_proxy.cli.store import _Bars
from tests.gateway_proxy.cli.conftest import Cli


def test_a_copy_has_the_key_and_says_so(cli: Cli, made: dict[str, Any]) -> None:
    done = cli("store", "copy", "--from", "sqlite:gateway.db", "--to", "sqlite:new/there.db", "--json")
    assert done.code == 0, done.err
    assert done.err == ""  # no bar where nobody looks
    assert done.json["tables"]["keys"] == done.json["tables"]["key_secrets"] == 1
    assert done.json["charged_usd"] == "0.00"
    assert done.json["copied"] == done.json["rows"] == sum(done.json["tables"].values())
    again = cli("store", "copy", "--from", "sqlite:gateway.db", "--to", "sqlite:new/there.db")
    assert again.out == "Nothing to do: the copy is complete and equal.\n"


def test_urls_from_the_environment_and_from_files(
    cli: Cli, made: dict[str, Any], tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("THERE", "sqlite:there.db")
    (tmp_path / "origin").write_text("sqlite:gateway.db\n")
    done = cli("store", "copy", "--from", "file:origin", "--to", "env:THERE")
    assert done.code == 0, done.err
    assert "rows copied" in done.out
    missing = cli("store", "copy", "--from", "env:NOBODY", "--to", "env:THERE")
    assert (missing.code, missing.err.count("\n")) == (2, 1)
    assert "env:NOBODY holds no URL" in missing.err


def test_what_is_refused(cli: Cli, made: dict[str, Any]) -> None:
    same = cli("store", "copy", "--from", "sqlite:gateway.db", "--to", "sqlite:gateway.db")
    assert (same.code, "same store" in same.err) == (2, True)
    missing = cli("store", "copy", "--from", "sqlite:nowhere.db", "--to", "sqlite:there.db")
    assert missing.code == 1
    assert "there is no store at nowhere.db" in missing.err
    server = cli(
        "store", "copy", "--from", "sqlite:gateway.db", "--to", "postgresql://u:hunter2@127.0.0.1:1/x"
    )
    assert (server.code, server.err.count("\n")) == (1, 1)
    assert "hunter2" not in server.err


def test_a_url_that_cannot_be_read_is_refused_without_its_password(cli: Cli, made: dict[str, Any]) -> None:
    for url in (
        "postgresql://u:hunter2@[::1/x",
        "postgresql://u:p@ss/hunter2@db/x",
        "mysql://u:hunter2@db/x",
    ):
        done = cli("store", "copy", "--from", "sqlite:gateway.db", "--to", url)
        assert (done.code, done.err.count("\n"), "hunter2" in done.err) == (2, 1, False), done.err


def test_a_terminal_sees_how_far_it_is(monkeypatch, capsys) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with _Bars() as bars:
        bars.show("copy", 5, 10)
        bars.show("copy", 10, 10)
        bars.show("compare", 10, 10)
    shown = capsys.readouterr().err
    assert "Copying" in shown
    assert "Comparing" in shown
    assert "100%" in shown
