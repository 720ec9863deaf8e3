"""What an event of a stream must be before a dialect reads it."""

import pytest

from gateway_proxy.dialects.neutral.answer import Unreadable, read_event


def test_an_object_is_read() -> None:
    assert read_event(b'{"a": [1]}') == {"a": [1]}


@pytest.mark.parametrize(("data", "why"), [(b"{", "not JSON"), (b"", "not JSON"), (b"[]", "not an object")])
def test_anything_else_is_unreadable(data: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        read_event(data)
