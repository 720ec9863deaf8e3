"""How mistakes read, and in which order they come."""

from pathlib import Path

from gateway_proxy.config.mistakes import ConfigError, Mistake, render_path


def test_a_mistake_reads_as_file_line_path_and_message() -> None:
    mistake = Mistake(Path("cfg.toml"), 14, ("providers", 1, "timout"), "unknown key")
    assert str(mistake) == "cfg.toml:14: providers[1].timout: unknown key"


def test_a_mistake_without_place_still_reads() -> None:
    assert str(Mistake(Path("cfg.toml"), None, (), "does not exist")) == "cfg.toml: does not exist"
    assert str(Mistake(None, None, ("server",), "must be a table")) == "settings: server: must be a table"


def test_a_mistake_stays_on_one_printable_line() -> None:
    rendered = str(Mistake(Path("c.toml"), 1, ("a\n\x1b[31m",), "unknown key \x1b\u2028"))
    assert rendered.isprintable()


def test_keys_that_toml_would_quote_are_quoted() -> None:
    assert render_path(("mcp", "a b", 0, 'c"')) == 'mcp."a b"[0]."c\\""'


def test_an_error_lists_its_mistakes_in_the_order_of_the_file() -> None:
    late, early, whole = (Mistake(Path("c"), line, (), "m") for line in (9, 2, None))
    error = ConfigError([late, early, whole])
    assert error.mistakes == (whole, early, late)
    assert str(error).splitlines() == ["c: m", "c:2: m", "c:9: m"]
