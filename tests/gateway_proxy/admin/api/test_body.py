"""Bodies: one JSON document, nothing twice, bounded in size and depth; every mistake is named."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway_proxy.admin.api.body import MAX_BODY_BYTES, MAX_DEPTH, check_size, check_type, parse_document
from gateway_proxy.admin.problem import Invalid, Malformed, Problem, TooLarge, WrongType

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=15,
)
relaxed = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)  # of a busy machine


@pytest.mark.slow
@relaxed
@given(VALUES)
def test_what_was_sent_is_what_is_read(value: object) -> None:
    assert parse_document(json.dumps(value).encode()) == value


@relaxed
@given(st.binary())
def test_anything_else_is_a_problem(body: bytes) -> None:
    try:
        parse_document(body)
    except Problem as problem:
        assert problem.status in (400, 422)


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        (b'{"a":1,"a":1}', ["a"]),
        (b'{"x":{"a":1,"b":2,"a":3,"b":4}}', ["x.a", "x.b"]),
        (b'{"x":[0,{"y":[{"a":1,"a":2}]}]}', ["x[1].y[0].a"]),
        (b'[{"a":1,"a":2}]', ["[0].a"]),
        (b'{"\\u0061":1,"a":2}', ["a"]),
    ],
)
def test_repeated_members_have_paths(body: bytes, paths: list[str]) -> None:
    with pytest.raises(Invalid) as caught:
        parse_document(body)
    assert [error.path for error in caught.value.errors] == paths


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"NaN",
        b"[1] 2",
        b"\xff",
        b'"\\ud800"',
        b"{'a':1}",
        b'{"a":1,}',
        b"\xef\xbb\xbf{}",
        b"9" * 5000,
    ],
)
def test_what_is_not_json_is_said_so(body: bytes) -> None:
    with pytest.raises(Malformed) as caught:
        parse_document(body)
    assert caught.value.code == "invalid_json"


@pytest.mark.parametrize("opener", ["[", '{"a":'])
def test_depth_is_bounded(opener: str) -> None:
    def nested(depth: int) -> bytes:
        return (opener * depth + "1" + ("]" if opener == "[" else "}") * depth).encode()

    assert parse_document(nested(MAX_DEPTH))
    for depth in (MAX_DEPTH + 1, 1000, 100_000):
        with pytest.raises(Malformed) as caught:
            parse_document(nested(depth))
        assert caught.value.code == "too_deep"


def test_hostile_bodies_are_quick() -> None:
    names = b",".join(b'"%d":1' % (number % 40_000) for number in range(80_000))
    with pytest.raises(Invalid) as caught:
        parse_document(b"{" + names + b"}")
    assert len(caught.value.errors) <= 20


@pytest.mark.parametrize(
    ("content_type", "charset", "encoding", "right"),
    [
        ("application/json", None, "", True),
        ("application/json", "utf-8", "identity", True),
        ("application/merge-patch+json", "UTF8", "", True),
        ("application/json", "latin-1", "", False),
        ("application/json", None, "gzip", False),
        ("text/plain", None, "", False),
        ("application/octet-stream", None, "", False),
    ],
)
def test_types(content_type: str, charset: str | None, encoding: str, right: bool) -> None:
    if right:
        check_type(content_type, charset, encoding)
    else:
        with pytest.raises(WrongType):
            check_type(content_type, charset, encoding)


def test_size() -> None:
    check_size(MAX_BODY_BYTES)
    with pytest.raises(TooLarge):
        check_size(MAX_BODY_BYTES + 1)
