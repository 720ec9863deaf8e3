"""Which store or API a command works on, and where its token comes from."""

import pytest

from gateway_proxy.cli.target import Target, query_pairs

URL = "http://127.0.0.1:9"  # nobody listens on the discard port


def test_one_place_at_a_time(cli, tmp_path, monkeypatch) -> None:
    outcome = cli("keys", "list", "-c", "config.toml", "--url", URL)
    assert (outcome.code, "--url and -c contradict" in outcome.err) == (2, True)
    outcome = cli("keys", "list", "--token", "gwa_x")
    assert (outcome.code, "goes with --url" in outcome.err) == (2, True)
    monkeypatch.setenv("GATEWAY_PROXY_URL", URL)
    monkeypatch.setenv("GATEWAY_PROXY_TOKEN", "gwa_x")
    assert "cannot be reached" in cli("keys", "list").err
    (tmp_path / "config.toml").write_text("")
    assert "there is no store" in cli("keys", "list", "-c", "config.toml").err
    monkeypatch.setenv("GATEWAY_PROXY_CONFIG", "config.toml")
    assert "cannot be reached" in cli("keys", "list").err


@pytest.mark.parametrize(
    ("token", "complaint"),
    [
        ("", "an admin token is needed"),
        ("env:NO_SUCH", "variable NO_SUCH is not set"),
        ("file:nowhere", "nowhere cannot be read"),
        ("file:empty", "an admin token is needed"),
        ("two words", "is not an admin token"),
        ("gwa_ümlaut", "is not an admin token"),
        ("env:TOKEN", "cannot be reached"),
        ("file:token", "cannot be reached"),
        ("gwa_x", "cannot be reached"),
    ],
)
def test_tokens(cli, tmp_path, monkeypatch, token: str, complaint: str) -> None:
    monkeypatch.delenv("GATEWAY_PROXY_TOKEN", raising=False)
    monkeypatch.setenv("TOKEN", "gwa_from-environment")
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "token").write_text("gwa_from-file\n")
    outcome = cli("keys", "list", "--url", URL, "--token", token)
    assert (outcome.code, outcome.out, len(outcome.err.splitlines())) == (1, "", 1)
    assert complaint in outcome.err
    assert "gwa_from" not in outcome.err


def test_a_token_is_not_shown_in_a_repr() -> None:
    assert "gwa_" not in repr(Target(None, URL, "gwa_x"))


def test_parameters_that_are_none_are_left_out() -> None:
    assert query_pairs({"a": None, "b": True, "c": 5, "d": ""}) == [("b", "true"), ("c", "5"), ("d", "")]
    assert query_pairs(None) == []
