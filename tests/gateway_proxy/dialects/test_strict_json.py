"""strict_json: what is refused, with which code, and that what is accepted survives re-serialisation."""

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_proxy.core.errors import BadExchange
from gateway_proxy.dialects import strict_json
from gateway_proxy.dialects.strict_json import MAX_DEPTH, parse_document, parse_object

MEMBERS = frozenset(("model", "stream", "max_tokens", "n", "background"))


def refusal(body: bytes) -> BadExchange:
    with pytest.raises(BadExchange) as caught:
        parse_object(body, MEMBERS)
    assert caught.value.status == 400
    return caught.value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  ",
        b"{",
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":1e999}',
        b'{"a":1}{}',
        b'{"a":1}x',
        b"\xef\xbb\xbf{}",
        b'{"a":"\\ud800"}',
        b'{"\\udc00":1}',
        b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}',
        '{"a":1}'.encode("utf-16"),
        b"{'a':1}",
        b'{"a":1,}',
        b'{"a":01}',
        b'{"a":"\n"}',
        b"// comment\n{}",
    ],
)
def test_refuses_what_is_not_json(body: bytes) -> None:
    assert refusal(body).code == "invalid_json"


@pytest.mark.parametrize("body", [b"[]", b'"a"', b"1", b"null", b"true"])
def test_refuses_what_is_not_an_object(body: bytes) -> None:
    assert refusal(body).code == "invalid_type"


def nested(levels: int, opener: bytes = b"[", closer: bytes = b"]") -> bytes:
    return b'{"a":' + opener * (levels - 1) + closer * (levels - 1) + b"}"


def test_depth_is_counted_exactly() -> None:
    assert parse_object(nested(MAX_DEPTH), MEMBERS)
    assert refusal(nested(MAX_DEPTH + 1)).code == "too_deep"
    assert refusal(b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1)).code == "too_deep"


@pytest.mark.parametrize("levels", [1000, 2000, 200_000])
def test_depth_beyond_the_parsers_own_limit_is_too_deep(levels: int) -> None:
    assert refusal(nested(levels)).code == "too_deep"


def test_depth_is_counted_exactly_in_a_large_body() -> None:
    long = b'{"text":"' + b"x" * 200_000 + b'",'
    assert parse_object(long + nested(MAX_DEPTH)[1:], MEMBERS)["text"]
    assert refusal(long + nested(MAX_DEPTH + 1)[1:]).code == "too_deep"


def test_many_brackets_are_not_depth() -> None:
    body = orjson.dumps({"a": [[] for _ in range(500)], "b": "[{" * 500})
    assert parse_object(body, MEMBERS) == orjson.loads(body)


@pytest.mark.parametrize(
    "name",
    [
        "Model",
        "MODEL",
        "ſtream",
        "ＭＯＤＥＬ",
        "max-tokens",
        "maxTokens",
        "MAX_TOKENS",
        "bacKground",
        "Stream",
    ],
)
def test_refuses_members_that_resemble_policy_members(name: str) -> None:
    error = refusal(json.dumps({"model": "a", name: 1}).encode())
    assert error.code == "invalid_json"
    assert error.param in MEMBERS
    assert "exactly" in error.public


def test_other_members_are_nobodys_business() -> None:
    body = {"model": "a", "models_x": 1, "top_n": 2, "x" * 1000: 3, "Ünïcode": 4}
    assert parse_object(orjson.dumps(body), MEMBERS) == body


def test_many_names_wear_the_refusal_out_neither_in_sight_nor_in_memory() -> None:
    for start in range(0, 10_000, 500):
        parse_object(orjson.dumps({f"name{number}": 1 for number in range(start, start + 500)}), MEMBERS)
        assert refusal(b'{"Model":"a"}').param == "model"
    assert sum(len(judged) for judged, _ in strict_json._JUDGED.values()) < 10_000


@pytest.mark.parametrize("wide", [False, True])
def test_depth_is_seen_wherever_it_hides(wide: bool) -> None:
    deep = orjson.loads(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    filler = [1] * 100 * wide
    for value in (deep, [*filler, deep], [*filler, {"content": deep}], {"a": deep}, [*filler, [deep]]):
        assert refusal(orjson.dumps({"model": "a", "messages": value})).code == "too_deep"


def test_a_repeated_member_leaves_once() -> None:
    value = parse_object(b'{"model":"a","model":"b","x":{"y":1,"y":2}}', MEMBERS)
    assert orjson.dumps(value) == b'{"model":"b","x":{"y":2}}'


def test_the_refusal_does_not_quote_the_body() -> None:
    assert "hunter2" not in refusal(b'{"password":"hunter2" oops}').public


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=("Cs",))), inner, max_size=4)
    ),
    max_leaves=20,
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text(st.characters(exclude_categories=("Cs",)), min_size=17), JSON, max_size=4))
def test_what_is_accepted_round_trips(value: dict[str, object]) -> None:
    """Whatever the spelling on the way in, another decoder reads the same on the way out."""
    for ascii_only in (True, False):
        parsed = parse_object(json.dumps(value, ensure_ascii=ascii_only, indent=1).encode(), MEMBERS)
        assert json.loads(orjson.dumps(parsed)) == value


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60) | st.text('{}[]",:\\u0aE+-. ntf', max_size=40).map(str.encode))
def test_any_bytes_are_parsed_or_refused(body: bytes) -> None:
    try:
        value = parse_object(body, MEMBERS)
    except BadExchange:
        return
    assert json.loads(body) == value


def test_a_document_may_be_anything_but_deep() -> None:
    assert parse_document(b"[1]") == [1] and parse_document(b'"x"') == "x"
    for body, code in ((b"[" * 129 + b"]" * 129, "too_deep"), (b"[", "invalid_json"), (b"", "invalid_json")):
        with pytest.raises(BadExchange) as caught:
            parse_document(body)
        assert caught.value.code == code
