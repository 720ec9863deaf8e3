"""Rate limits: exact under overload, silent just below the limit, and no token of them wasted.

The provider's own books are the judge of what was admitted and used.
"""

import asyncio
import json
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

from bench import subjects
from bench.client import exchange, make_request, most_in_window
from bench.figure import Figure
from bench.load import Load, run_load
from gateway_proxy.fake_provider.ledger import Entry, read_ledger

REQUESTS_PER_MINUTE = 600
TOKENS_PER_MINUTE = 240_000
MIN_USED_PERCENT = 97.0
_REQUEST_BYTES = 200
_MAX_TOKENS, _TOKENS = 400, 28  # with its prompt a stream uses about a tenth of what it reserves
_TOKEN_CLIENTS = 40
_WARMUP_SECONDS = 2.0


def run(short: bool) -> list[Figure]:
    """Three loads one after the other, each on a key of its own."""
    documents: list[dict[str, object]] = [
        {"requests_per_minute": REQUESTS_PER_MINUTE},
        {"requests_per_minute": REQUESTS_PER_MINUTE},
        {"tokens_per_minute": TOKENS_PER_MINUTE},
    ]
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        books = Path(folder) / "provider.jsonl"
        with (
            subjects.fake_provider("--ledger", str(books)) as upstream,
            subjects.gateway(upstream, documents) as gateway,
        ):
            return [
                *measure_overload(gateway, books, 10.0 if short else 180.0),
                measure_just_below(gateway, 4.0 if short else 600.0),
                *measure_tokens(gateway, books, 6.0 if short else 180.0),
            ]


def measure_overload(gateway: SimpleNamespace, books: Path, seconds: float) -> list[Figure]:
    """Ten times the limit."""
    begun = time.monotonic()
    result = run_load(make_load(gateway, gateway.secrets[0], seconds, REQUESTS_PER_MINUTE / 60 * 10))
    elapsed = time.monotonic() - begun
    accepted = [entry.at / 1000 for entry in read_ledger(books)]
    most = most_in_window(accepted, 60.0)
    granted = REQUESTS_PER_MINUTE + REQUESTS_PER_MINUTE / 60 * elapsed  # the bucket was full at the start
    used = 100 * len(accepted) / granted
    strange = result.answered - result.statuses[200] - result.statuses[429] + sum(result.errors.values())
    return [
        Figure(name="requests/min: most in any 60 s at 10 times the limit", bound=2 * REQUESTS_PER_MINUTE, measured=most,
               unit="requests", passed=most <= 2 * REQUESTS_PER_MINUTE and result.statuses[200] == len(accepted)),
        Figure(name="requests/min: used at 10 times the limit", bound=MIN_USED_PERCENT, measured=round(used, 2),
               unit="%", passed=MIN_USED_PERCENT <= used <= 100.0 and strange == 0),
    ]  # fmt: skip


def measure_just_below(gateway: SimpleNamespace, seconds: float) -> Figure:
    """95 % of the limit, evenly spaced, after the burst has been used up."""
    rate = REQUESTS_PER_MINUTE / 60
    run_load(Load(
        url=gateway.url + "/chat/completions", body=subjects.chat_body(300), connections=4,
        headers={"authorization": f"Bearer {gateway.secrets[1]}"}, requests=REQUESTS_PER_MINUTE - 10,
    ))  # fmt: skip
    result = run_load(make_load(gateway, gateway.secrets[1], seconds, rate * 0.95))
    refused = result.answered - result.statuses[200] + sum(result.errors.values())
    return Figure(name="requests/min: refused at 95 % of the limit", bound=0, measured=refused, unit="requests",
                  passed=refused == 0 and result.statuses[200] >= int(rate * 0.95 * seconds))  # fmt: skip


def make_load(gateway: SimpleNamespace, secret: str, seconds: float, rate: float) -> Load:
    """An evenly spaced open loop."""
    return Load(
        url=gateway.url + "/chat/completions", body=subjects.chat_body(300), connections=32, seconds=seconds, rate=rate,
        headers={"authorization": f"Bearer {secret}"},
    )  # fmt: skip


def measure_tokens(gateway: SimpleNamespace, books: Path, seconds: float) -> list[Figure]:
    """Streams that use a tenth of what they reserve, from clients that come back when they are told to."""
    before = len(read_ledger(books))
    tally = asyncio.run(overload_tokens(gateway, seconds))
    entries = [entry for entry in read_ledger(books)[before:] if entry.billed_at]
    measured = [entry for entry in entries if tally.begun_ms <= (entry.billed_at or 0) < tally.ended_ms]
    granted = TOKENS_PER_MINUTE / 60_000 * (tally.ended_ms - tally.begun_ms)
    used = 100 * sum(map(tokens_of, measured)) / granted
    most = most_tokens_in_window(entries)
    return [
        Figure(name="tokens/min: used by streams that need a tenth of what they reserve", bound=MIN_USED_PERCENT,
               measured=round(used, 2), unit="%",
               passed=used >= MIN_USED_PERCENT and tally.strange == 0 and tally.refused > 0),
        Figure(name="tokens/min: most in any 60 s", bound=2 * TOKENS_PER_MINUTE, measured=most, unit="tokens",
               passed=most <= 2 * TOKENS_PER_MINUTE),
    ]  # fmt: skip


def tokens_of(entry: Entry) -> int:
    """What the provider billed for one request."""
    return entry.prompt_tokens + entry.completion_tokens


def most_tokens_in_window(entries: list[Entry]) -> int:
    """The most tokens of requests accepted in any 60 s; entries come in order of acceptance."""
    most = total = begin = 0
    for entry in entries:
        total += tokens_of(entry)
        while entry.at - entries[begin].at >= 60_000:
            total -= tokens_of(entries[begin])
            begin += 1
        most = max(most, total)
    return most


class Tally:
    """What the clients of one overload met; `begun_ms` and `ended_ms` enclose the time that counts."""

    begun_ms = ended_ms = refused = strange = 0


async def overload_tokens(gateway: SimpleNamespace, seconds: float) -> Tally:
    """Empty the bucket, wait until as many streams end as begin, then keep it empty for `seconds`."""
    secret = gateway.secrets[2]
    large = json.loads(subjects.chat_body(_REQUEST_BYTES, directive="[[fake: tokens=4000]]"))
    drain = make_request(gateway.url, secret, json.dumps({**large, "max_tokens": 4000}).encode())
    for _ in range(TOKENS_PER_MINUTE // 4000):
        await exchange(gateway.url, drain)
    tally, stop = Tally(), asyncio.Event()
    clients = [
        asyncio.create_task(keep_asking(gateway.url, secret, tally, stop)) for _ in range(_TOKEN_CLIENTS)
    ]
    await asyncio.sleep(_WARMUP_SECONDS)
    tally.begun_ms = time.time_ns() // 1_000_000
    await asyncio.sleep(seconds)
    tally.ended_ms = time.time_ns() // 1_000_000
    stop.set()
    await asyncio.gather(*clients)
    return tally


async def keep_asking(url: str, secret: str, tally: Tally, stop: asyncio.Event) -> None:
    """One client: a stream after the other; a refusal is waited out as long as it says."""
    directive = f"[[fake: delay_ms=5 tokens={_TOKENS}]]"
    body = json.loads(subjects.chat_body(_REQUEST_BYTES, stream=True, directive=directive))
    request = make_request(url, secret, json.dumps({**body, "max_tokens": _MAX_TOKENS}).encode())
    while not stop.is_set():
        answer = await exchange(url, request)
        if answer.status == 429 and "retry-after-ms" in answer.headers:
            tally.refused += 1
            await asyncio.sleep(int(answer.headers["retry-after-ms"]) / 1000)
        elif answer.status != 200 or not answer.is_whole:
            tally.strange += 1
