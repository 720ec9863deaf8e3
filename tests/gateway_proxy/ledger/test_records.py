"""The file format: what goes in comes out, and damage is found, never believed."""

import zlib

import pytest

from gateway_proxy.core.usage import Rates, Usage
from gateway_proxy.ledger import records
from gateway_proxy.ledger.records import HEADER, INTENT, SETTLE, apply_settle, decode_intent, frame, scan
from tests.support.books import finish, make_row


def segment(count: int) -> bytes:
    parts = [HEADER]
    for number in range(count):
        row = make_row(number)
        parts += [records.encode_intent(row), records.encode_settle(finish(row))]
    return b"".join(parts)


def test_a_row_survives_whole():
    row = make_row(7, parent_id="key_p", estimated_nanos=5, owner="zoë@example.com")
    intent = records.encode_intent(row)
    row = finish(row)._replace(
        rates=Rates(input=1, searches=9, source="tier", version="2"),
        usage=Usage(**{name: index for index, name in enumerate(records._USAGE_NAMES)}),
    )
    found = scan(HEADER + intent + records.encode_settle(row))
    assert [kind for kind, _, _ in found.records] == [INTENT, SETTLE]
    read = decode_intent(found.records[0][1])
    assert read.outcome == "open"
    assert apply_settle(read, found.records[1][1]) == row


def test_a_row_without_a_price_has_no_rates():
    row = make_row(rates=None)
    [(_, values, _)] = scan(HEADER + records.encode_intent(row)).records
    assert decode_intent(values).rates is None


def test_many_price_lists_do_not_pile_up():
    for number in range(3000):
        records.encode_intent(make_row(rates=Rates(input=number)))
    assert len(records._known_rates) <= records._MAX_KNOWN_RATES


def test_truncation_at_every_byte_gives_a_valid_prefix():
    data = segment(3)
    whole = scan(data)
    assert (whole.fault, whole.end, len(whole.records)) == ("", len(data), 6)
    for length in range(len(data)):
        found = scan(data[:length])
        assert found.records == [r for r in whole.records if r[2] <= length]
        assert found.end <= length
        assert found.fault == ("" if found.end == length and length else "torn")


def test_every_flipped_bit_is_found():
    data = segment(2)
    whole = scan(data)
    for offset in range(len(data)):
        damaged = bytearray(data)
        damaged[offset] ^= 1 << (offset % 8)
        found = scan(bytes(damaged))
        before = [r for r in whole.records if r[2] <= offset]
        if offset < len(HEADER):
            assert (found.records, found.fault) == ([], "corrupt")
            continue
        assert found.records == before
        last_record = offset >= whole.records[-2][2]
        assert found.fault == ("torn" if last_record else "corrupt")


def test_zeros_after_a_power_loss_are_a_torn_tail():
    data = segment(1)
    assert scan(data + bytes(4096)).fault == "torn"
    assert scan(bytes(4096)).fault == "torn"
    assert scan(b"").fault == "torn"


def test_a_kind_of_a_newer_version_is_passed_over():
    data = segment(1) + frame(9, b"[1]") + records.encode_intent(make_row(5))
    found = scan(data)
    assert (found.fault, len(found.records)) == ("", 3)


@pytest.mark.parametrize("payload", [b"{}", b"no json", b"\xff"])
def test_a_payload_that_is_no_list_is_damage(payload):
    bad = frame(INTENT, payload)
    assert zlib.crc32(payload, INTENT) == int.from_bytes(bad[6:10], "little")
    assert scan(HEADER + bad + records.encode_intent(make_row(5))).fault == "corrupt"
