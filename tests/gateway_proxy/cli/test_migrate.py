"""`migrate`: makes a store, brings one up to date, refuses what is not ours."""

import sqlite3
import stat


def test_makes_a_store_and_is_done_then(cli, tmp_path) -> None:
    outcome = cli("migrate")
    assert outcome.code == 0
    assert outcome.out.startswith("Applied 0001_")
    assert stat.S_IMODE((tmp_path / "gateway.db").stat().st_mode) == 0o600
    assert cli("migrate").out == "The schema is up to date.\n"
    assert cli("migrate", "--json").json == {"applied": []}
    assert cli("keys", "list").out == "No keys.\n"


def test_a_foreign_database_is_left_alone(cli, tmp_path) -> None:
    with sqlite3.connect(tmp_path / "gateway.db") as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    outcome = cli("migrate")
    assert outcome.code == 1
    assert "belongs to something else" in outcome.err


def test_an_old_schema_is_named_by_other_commands(cli, tmp_path) -> None:
    sqlite3.connect(tmp_path / "gateway.db").close()
    outcome = cli("keys", "list")
    assert outcome.code == 1
    assert "run `gateway-proxy migrate`" in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_file_that_is_no_database(cli, tmp_path) -> None:
    (tmp_path / "gateway.db").write_text("hello " * 1000)
    for arguments in (["keys", "list"], ["migrate"]):
        outcome = cli(*arguments)
        assert outcome.code == 1
        assert outcome.err.count("\n") == 1
        assert "unexpected" not in outcome.err
