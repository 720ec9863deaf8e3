"""The streaming client of the soaks against the fake provider, and how it counts."""

import os

import pytest

from bench.client import count_descriptors, count_threads, exchange, make_request, most_in_window, read_json
from tests.support.fake_provider import FakeProvider, fake_provider, start_fake_provider

__all__ = ["fake_provider", "start_fake_provider"]

BODY = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"[[fake: tokens=20 delay_ms=5]]"}]}'


async def test_a_whole_stream_is_counted(fake_provider: FakeProvider) -> None:
    answer = await exchange(fake_provider.base_url, make_request(fake_provider.base_url, "key", BODY))
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.is_whole and not answer.left
    assert answer.chunks >= 20 + 1  # the tokens and [DONE]


async def test_hanging_up_in_the_middle_is_what_the_provider_sees(fake_provider: FakeProvider) -> None:
    request = make_request(fake_provider.base_url, "key", BODY)
    answer = await exchange(fake_provider.base_url, request, leave_after=5)
    assert answer.left and not answer.is_whole
    [entry] = fake_provider.settled_ledger()
    assert entry.outcome == "disconnected"
    assert read_json(fake_provider.origin + "/__stats")["accepted"] == 1


async def test_a_refusal_keeps_its_status_and_headers(fake_provider: FakeProvider) -> None:
    body = BODY.replace(b"tokens=20 delay_ms=5", b"mode=status status=429 retry_after=3")
    answer = await exchange(fake_provider.base_url, make_request(fake_provider.base_url, "key", body))
    assert (answer.status, answer.headers["retry-after"], answer.chunks) == (429, "3", 0)


@pytest.mark.parametrize(
    ("times", "most"),
    [([], 0), ([1.0], 1), ([0.0, 59.9, 60.0], 2), ([0.0, 1.0, 2.0, 61.5, 62.5], 3), ([5.0, 5.0, 5.0], 3)],
)
def test_the_window_is_half_open(times: list[float], most: int) -> None:
    assert most_in_window(times, 60.0) == most


def test_descriptors_and_threads_of_this_process_are_seen() -> None:
    before = count_descriptors(os.getpid())
    reading, writing = os.pipe()
    try:
        assert count_descriptors(os.getpid()) == before + 2
    finally:
        os.close(reading)
        os.close(writing)
    assert count_threads(os.getpid()) >= 1
