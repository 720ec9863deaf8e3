"""What may stand in a log."""

import json
import time

import pytest

from gateway_proxy.core.redaction import MASK, MAX_CHARACTERS, mask_text, redact


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


def test_what_models_count_stays() -> None:
    usage = {
        "max_tokens": 16,
        "maxOutputTokens": 8,
        "usage": {
            "prompt_tokens": 1,
            "prompt_tokens_details": {"cached_tokens": 0},
            "promptTokenCount": 3,
            "totalTokens": None,
        },
        "tokenizer": "o200k",
    }
    assert json.loads(redact(usage)) == usage
    assert json.loads(redact({"tokens": ["a", "b"], "pin_password": 1234})) == {
        "tokens": MASK,
        "pin_password": MASK,
    }


@pytest.mark.parametrize("secret", ["abc", 'a"b', "a\\", 'a\\"b\\\\', "", "{[", "\n\u2028ä"])
@pytest.mark.parametrize("levels", [0, 1, 2])
def test_json_within_strings_of_json_is_masked_and_stays_json(secret: str, levels: int) -> None:
    """As the arguments of a tool call are."""
    value: object = {
        "a": 1,
        "api_key": secret,
        "deep": {"credentials": {"user": secret, "x": ["}", secret]}, "z": "end"},
    }
    wanted: object = {"a": 1, "api_key": MASK, "deep": {"credentials": MASK, "z": "end"}}
    for _ in range(levels):
        value, wanted = {"arguments": json.dumps(value), "b": 2}, {"arguments": wanted, "b": 2}
    told = json.loads(mask_text(json.dumps(value)))
    assert unfold(told) == wanted


def unfold(value: dict[str, object]) -> dict[str, object]:
    inner = value.get("arguments")
    return value | {"arguments": unfold(json.loads(inner))} if isinstance(inner, str) else value


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ('{"password": "half', '{"password": "[redacted]"'),
        ('{"password": {"a": ["b', '{"password": "[redacted]"'),
        ('{"password":', '{"password":"[redacted]"'),
        ('data: {"api_key" : "x"}\n\ndata: {"b": 1}', 'data: {"api_key" : "[redacted]"}\n\ndata: {"b": 1}'),
        ("key=sk-aaaaaaaaaaaaaaaaaaaa\0\ufffd", "key=[redacted]\0\ufffd"),
        ('"-----BEGIN {}-----\\nabc", "b"'.format("PRIVATE KEY"), '"[redacted]", "b"'),
        ("Basic understanding of bearer cheques", "Basic understanding of bearer cheques"),
    ],
)
def test_what_is_cut_or_no_json_is_masked_as_well(text: str, masked: str) -> None:
    assert mask_text(text) == masked


@pytest.mark.parametrize("piece", ["\\", '"', '\\"', '"a":', '"password":', "{", "Bearer ", "eyJ", " "])
def test_no_text_takes_long(piece: str) -> None:
    began = time.process_time()
    mask_text(piece * (131_072 // len(piece)))
    assert time.process_time() - began < 5
