"""Real usage objects of every dialect, their classes and their costs, worked out by hand and by an independent table.

Each row has the classes and the nano-USD that the vendor's published rates come to. Where genai-prices can read the object and
price it, it is asked too: the two must agree to the nano-USD.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import ROUND_CEILING
from pathlib import Path
from typing import Any

import orjson
import pytest
from genai_prices import calc_price, extract_usage

from gateway_proxy.core.usage import Usage
from gateway_proxy.dialects.anthropic.usage import parse_usage as parse_anthropic
from gateway_proxy.dialects.gemini.usage import parse_usage as parse_gemini
from gateway_proxy.dialects.openai.usage import parse_usage as parse_openai
from gateway_proxy.pricing import PriceBook

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
BOOK = PriceBook.load(int(NOON.timestamp() * 1000))
CORPUS = Path(__file__).parents[1] / "support" / "corpus" / "golden_costs.jsonl"
CASES: list[dict[str, Any]] = [orjson.loads(line) for line in CORPUS.read_bytes().splitlines()]
PARSERS: dict[str, Callable[[object], Usage | None]] = {
    "openai": parse_openai, "anthropic": parse_anthropic, "gemini": parse_gemini,
}  # fmt: skip
_FLAVORS = {"openai": "chat", "anthropic": "default", "gemini": "default"}


def name(case: dict[str, Any]) -> str:
    return f"{case['model']}-{case['nanos']}"


def test_the_corpus_is_there() -> None:
    assert len(CASES) >= 60
    assert {case["dialect"] for case in CASES} == PARSERS.keys()
    assert sum(case.get("oracle", True) is not False for case in CASES) >= 50


@pytest.mark.parametrize("case", CASES, ids=name)
def test_classes_and_cost(case: dict[str, Any]) -> None:
    usage = PARSERS[case["dialect"]](case["usage"])
    assert usage == Usage(**case["expect"])
    entry = BOOK.lookup(case["provider"], case["model"])
    assert usage is not None and entry is not None and entry.price is not None
    rates = entry.price.rates_for(usage.input_tokens(), case.get("tier"))
    assert rates.cost_nanos(usage) == case["nanos"]


@pytest.mark.parametrize("case", [c for c in CASES if c.get("oracle", True) is not False], ids=name)
def test_the_other_table_agrees(case: dict[str, Any]) -> None:
    flavor = case.get("oracle", _FLAVORS[case["dialect"]])
    member = "usageMetadata" if case["dialect"] == "gemini" else "usage"
    answer = {member: case["usage"], "model": case["model"], "modelVersion": case["model"]}
    extracted = extract_usage(answer, provider_id=case["provider"], api_flavor=flavor)
    price = calc_price(
        extracted.usage, case["model"], provider_id=case["provider"], genai_request_timestamp=NOON
    )
    nanos = (price.total_price * 10**9).to_integral_value(ROUND_CEILING)
    assert nanos == case["nanos"]
