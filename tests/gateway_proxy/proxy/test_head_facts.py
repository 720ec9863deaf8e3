"""What is read of a head, once: only what is well formed, and nothing that policy decides."""

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from gateway_proxy.proxy.head_facts import HeadFacts

TRACE = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


def read(path: str = "/v1/chat/completions", **headers: str) -> HeadFacts:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HeadFacts(path, CIMultiDictProxy(CIMultiDict(named)))


def test_path_and_operation() -> None:
    assert (read().path, read().operation) == ("/v1/chat/completions", "chat")
    asked = read("/v1/embeddings?a=b")
    assert (asked.path, asked.operation) == ("/v1/embeddings", "embeddings")
    assert read("/v1/nothing").operation == ""


def test_credentials() -> None:
    assert read(authorization="Bearer s").secret == "s" and not read(authorization="Bearer s").secrets_differ
    assert read().secret is None
    both = read(authorization="Bearer s", x_api_key="t")
    assert both.secrets_differ and both.secret is None


@pytest.mark.parametrize(("value", "kept"), [("abc", "abc"), ("a" * 129, ""), ("a\u00ff", ""), ("", "")])
def test_the_clients_own_id(value: str, kept: str) -> None:
    assert read(x_request_id=value).client_request_id == kept


def test_traces() -> None:
    facts = read(traceparent=TRACE, tracestate="a=1")
    assert facts.trace == ("a" * 32, "b" * 16, "01") and facts.trace_state == "a=1"
    assert read(traceparent="nonsense", tracestate="a=1").trace is None
    assert (
        read(tracestate="a=1").trace_state == "" == read(traceparent=TRACE, tracestate="x" * 513).trace_state
    )


def test_bodies() -> None:
    assert read(content_length="12").body_length == 12 and read(content_length="x").body_length is None
    assert read(content_encoding="gzip").is_encoded and not read(content_encoding="identity").is_encoded
    assert read(content_type="a/b").content_type == "a/b" and read(expect="100-continue").expects is not None
    assert read(accept="a", cookie="b").upward == b"accept: a\r\n"
