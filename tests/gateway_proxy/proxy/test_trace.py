"""Trace context: valid headers are continued, all others start anew."""

import pytest

from gateway_proxy.proxy.trace import new_span_id, new_trace_id, parse_traceparent

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_a_valid_header_is_continued_with_a_span_of_our_own() -> None:
    assert parse_traceparent(f"00-{TRACE}-{SPAN}-01") == (TRACE, SPAN, "01")
    assert parse_traceparent(f" cc-{TRACE}-{SPAN}-01-more ") == (TRACE, SPAN, "01")
    ours = new_span_id()
    assert parse_traceparent(f"00-{TRACE}-{ours}-00") == (TRACE, ours, "00") and ours != new_span_id()


@pytest.mark.parametrize(
    "text",
    [None, "", f"00-{TRACE}-{SPAN}", f"00-{TRACE.upper()}-{SPAN}-01", f"ff-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01",
     f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE}-{SPAN}-01-more", f"00-{TRACE}-{SPAN}-01\r\nx: y"],
)  # fmt: skip
def test_others_start_anew(text: str | None) -> None:
    assert parse_traceparent(text) is None
    assert len(new_trace_id()) == 32 and new_trace_id() != new_trace_id()
