"""Output: columns line up, and nothing in a name can steer a terminal."""

from gateway_proxy.cli.output import limit, print_fields, print_json, print_table, printable, short_time


def test_columns_line_up(capsys) -> None:
    print_table(("NAME", "N"), [("a", 1), ("longer", 22)], right=frozenset((1,)))
    assert capsys.readouterr().out == "NAME     N\na        1\nlonger  22\n"


def test_fields(capsys) -> None:
    print_fields([("id", "x"), ("status", "on")])
    assert capsys.readouterr().out == "id      x\nstatus  on\n"


def test_json_is_compact_in_a_pipe_and_keeps_letters(capsys) -> None:
    print_json({"name": "é", "list": [1]})
    assert capsys.readouterr().out == '{"name":"é","list":[1]}\n'


def test_controls_are_shown_not_obeyed() -> None:
    assert printable("a\x1b[2Jb\u202ec") == "a\\x1b[2Jb\\u202ec"
    assert printable("é 中") == "é 中"


def test_times_and_limits() -> None:
    assert short_time("2030-01-02T03:04:05Z") == "2030-01-02 03:04"
    assert short_time(None, "never") == "never"
    assert [limit(value) for value in (None, [], ["a", "b"], 0)] == ["no limit", "none allowed", "a, b", "0"]
