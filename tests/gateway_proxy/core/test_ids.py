"""Ids: a prefix and a ULID, in order of time."""

import time

import pytest

from gateway_proxy.core.ids import is_id, new_id


def test_form_and_uniqueness() -> None:
    made = [new_id("req") for _ in range(1000)]
    assert len(set(made)) == 1000
    assert all(is_id(text, "req") and len(text) == 30 for text in made)


def test_later_ids_sort_later() -> None:
    first = new_id("key")
    time.sleep(0.002)
    assert first < new_id("key")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "req_",
        "req_" + "0" * 25,
        "req_" + "0" * 27,
        "key_" + "0" * 26,
        "req_" + "u" * 26,
        "req_" + "A" * 26,
    ],
)
def test_what_is_no_id(text: str) -> None:
    assert not is_id(text, "req")
