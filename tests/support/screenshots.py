"""The pictures of docs/dashboard.md, taken of a furnished store: `./run screenshots`."""

import asyncio
import math
import random
import tempfile
from pathlib import Path
from typing import Any

from playwright.async_api import async_playwright

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.ledger import LedgerRow, LogRow
from gateway_proxy.core.store import Batch
from gateway_proxy.core.usage import Usage
from tests.support.browser import find_chromium
from tests.support.dashboard import Dashboard, open_dashboard
from tests.support.furnish import furnish

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "images"
KEYS = "/dashboard/configuration/api-keys"
_NAMES = ("Production API", "Staging API", "Support assistant")
_OWNERS = ("ada@example.com", "grace@example.com", "max@example.com")
_MODELS = (
    ("openai", "gpt-4o", 2500),
    ("anthropic", "claude-3.5-sonnet", 3000),
    ("openai", "gpt-4o-mini", 150),
)  # and its rate
WIDE, NARROW = (1440, 900), (360, 740)


async def take() -> None:
    """One picture after the other, into `docs/images`."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        async with open_dashboard(Path(folder)) as site, async_playwright() as playwright:
            ids = await furnish(site)
            await add_history(site, ids[:3])
            browser = await playwright.chromium.launch(
                executable_path=find_chromium(),
                args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
            )
            pictures = [
                ("keys", KEYS, WIDE, "light"),
                ("keys-dark", KEYS, WIDE, "dark"),
                ("keys-narrow", KEYS, NARROW, "light"),
                ("create-key", f"{KEYS}/new", WIDE, "light"),
                ("key", f"{KEYS}/{ids[0]}", WIDE, "light"),
                ("overview", "/dashboard", WIDE, "light"),
                ("usage", "/dashboard/usage", WIDE, "light"),
                ("logs", "/dashboard/logs", WIDE, "light"),
                ("settings", "/dashboard/settings", WIDE, "light"),
            ]
            for name, path, (width, height), scheme in pictures:
                page = await browser.new_page(
                    viewport={"width": width, "height": height},
                    color_scheme="dark" if scheme == "dark" else "light",
                )
                await page.goto(str(site.client.make_url(path)))
                await page.screenshot(path=FOLDER / f"{name}.png")
                await page.close()
            await browser.close()


async def add_history(site: Dashboard, key_ids: list[str]) -> None:
    """Two weeks of requests of these keys: more by day than by night, each key with a model of its own."""
    now_ms = Clock().now_ms()
    chance = random.Random(7)
    batch = Batch()
    for minutes in range(30, 14 * 24 * 60, 20):
        at = now_ms - minutes * 60_000
        by_day = 1.2 - math.cos((at / 3_600_000 % 24) / 12 * math.pi)
        for number, key_id in enumerate(key_ids):
            for _ in range(chance.randrange(1 + round(by_day * (3 - number)))):
                _add_request(batch, f"req_{len(batch.logs):026}", at, key_id, number, chance)
    await site.store.ledger.append("gtw_1", batch)


def _add_request(
    batch: Batch, request_id: str, at: int, key_id: str, number: int, chance: random.Random
) -> None:
    provider, model, rate = _MODELS[number]
    tokens_in, tokens_out = chance.randrange(300, 2600), chance.randrange(80, 900)
    shared: dict[str, Any] = {
        "request_id": request_id, "gateway_id": "gtw_1", "organization": "default", "key_id": key_id, "owner": _OWNERS[number],
        "provider": provider, "operation": "chat",
    }  # fmt: skip
    cost = (tokens_in + 4 * tokens_out) * rate
    status = chance.choices((200, 429, 502), (60, 2, 1))[0]
    code = {429: "rate_limit_exceeded", 502: "upstream_broken"}.get(status, "")
    admitted = status != 429
    batch.logs.append(
        LogRow(
            at=at, key_name=_NAMES[number], path="/v1/chat/completions", model=model, status=status, error_code=code, admitted=admitted,
            attempts=int(admitted), input_tokens=tokens_in, output_tokens=tokens_out, cost_nanos=cost * admitted,
            latency_ms=round(chance.lognormvariate(6.7, 0.5)), stream=True, **shared,
        )
    )  # fmt: skip
    if admitted:
        batch.ledger.append(
            LedgerRow(
                attempt=1, model_requested=model, model_sent=model, admitted_at=at, settled_at=at + 900, charged_nanos=cost,
                usage=Usage(input=tokens_in, output=tokens_out), usage_source="provider", **shared,
            )
        )  # fmt: skip


if __name__ == "__main__":
    asyncio.run(take())
