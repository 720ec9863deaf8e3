"""The format of the audit log: what is sealed cannot be changed, and keys differ by gateway."""

import hashlib
import hmac
import json

from gateway_proxy.audit.chain import (
    GENESIS,
    Head,
    derive_key,
    find_change,
    is_sealed,
    parse_head,
    seal,
    take_apart,
)

KEY = derive_key(b"p" * 32, "gtw_1")


def test_a_line_is_json_and_its_mac_can_be_checked_by_anybody_with_the_key() -> None:
    line, head = seal(KEY, Head(), {"change": 7, "action": "key.created"})
    entry = json.loads(line)
    assert entry["seq"] == 1 and entry["prev"] == GENESIS and entry["action"] == "key.created"
    sealed = line[: line.index(b',"mac"')]
    assert entry["mac"] == hmac.new(KEY, sealed, hashlib.sha256).hexdigest() == head.mac


def test_the_next_line_holds_the_mac_of_the_one_before() -> None:
    _, head = seal(KEY, Head(), {"a": 1})
    line, after = seal(KEY, head, {"a": 2})
    assert json.loads(line)["prev"] == head.mac and after.seq == 2


def test_a_line_taken_apart_is_sealed_only_under_its_own_key() -> None:
    text, _ = seal(KEY, Head(), {"change": 41, "details": {"mac": "no", "prev": "no"}})
    line = take_apart(text[:-1])
    assert line is not None and is_sealed(KEY, line) and find_change(line) == 41
    assert not is_sealed(derive_key(b"p" * 32, "gtw_2"), line)
    assert not is_sealed(derive_key(b"q" * 32, "gtw_1"), line)


def test_what_is_no_line_is_not_taken_for_one() -> None:
    text, _ = seal(KEY, Head(), {"change": 1})
    for wrong in (b"", b"{}", text, text[:-2], b" " + text[:-1], text[:-1].replace(b'"seq":1', b'"seq":01')):
        assert take_apart(wrong) is None


def test_heads_are_read_as_they_are_written() -> None:
    head = Head(12, "ab" * 32)
    assert parse_head(str(head)) == head
    for wrong in ("", "12", "x:" + "a" * 64, "1:" + "g" * 64, "1:" + "a" * 63):
        assert parse_head(wrong) is None


def test_details_cannot_forge_the_end_of_a_line() -> None:
    forged = '","prev":"' + "0" * 64 + '","mac":"' + "0" * 64 + '"}'
    text, head = seal(KEY, Head(), {"change": 1, "details": forged})
    line = take_apart(text[:-1])
    assert line is not None and line.mac == head.mac and is_sealed(KEY, line)
