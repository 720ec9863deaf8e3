"""What may stand in a log."""

import json

import pytest

from gateway_proxy.mcp.redaction import MASK, MAX_CHARACTERS, redact


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "apiKey",
        "api_key",
        "X-Api-Key",
        "accessToken",
        "client_secret",
        "Authorization",
        "set-cookie",
    ],
)
def test_members_with_telling_names_are_masked_whole(name: str) -> None:
    assert json.loads(redact({"a": [{name: {"deep": 1}}]})) == {"a": [{name: MASK}]}


@pytest.mark.parametrize(
    "secret",
    [
        "gwk_" + "a" * 49,
        "Bearer abcdefgh12345678",
        "sk-proj-abcdefghijklmnop",
        "ghp_abcdefghijklmnopqrstuvwx",
        "xoxb-1234-abcdefgh",
        "AKIAABCDEFGHIJKLMNOP",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefgh",
        "-----BEGIN RSA {0}-----\nabc\n-----END RSA {0}-----".format("PRIVATE KEY"),
    ],
)
def test_what_has_the_form_of_a_credential_is_masked_in_place(secret: str) -> None:
    assert json.loads(redact({"text": f"see {secret} there"})) == {"text": f"see {MASK} there"}


def test_other_values_stay_and_long_ones_are_cut() -> None:
    value = {"query": "open issues", "n": [1, None, True], "monkey": "skip-this-one"}
    assert json.loads(redact(value)) == value
    assert len(redact("x" * 10 * MAX_CHARACTERS)) == MAX_CHARACTERS + 1
