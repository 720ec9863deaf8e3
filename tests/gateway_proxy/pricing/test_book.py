"""Prices as of a moment, read provider by provider."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway_proxy.pricing.book import TABLE_PATH, PriceBook

TABLE = """{"library":"lib","version":"1","providers":{"a":[0,%d,["b"]],"b":[%d,%d,[]]}}
"""
ROWS_A = """[["m","m-big"],["or","m","m-big",["starts_with","m-2"]],1000,[[0,[[5]]],[100,[[7],[[50,[9]]],[["flex",[[3]]]]]]]]
[["later"],null,null,[[0,null],[200,[[1]]]]]
"""
ROWS_B = """[["borrowed"],null,8,[[0,[[2,1]]]]]
"""


def _write(folder: Path) -> Path:
    path = folder / "prices.jsonl"
    path.write_text(TABLE % (len(ROWS_A), len(ROWS_A), len(ROWS_B)) + ROWS_A + ROWS_B)
    return path


def test_price_holds_from_its_first_day_on(tmp_path: Path) -> None:
    path = _write(tmp_path)
    rates = []
    for at_ms in (99, 100):
        entry = PriceBook(path, at_ms).lookup("a", "m-big")
        assert entry is not None
        assert entry.context_tokens == 1000
        assert entry.price is not None
        rates.append(
            (entry.price.base.input, entry.price.rates_for(51).input, entry.price.rates_for(0, "flex").input)
        )
        assert (entry.price.base.source, entry.price.base.version) == ("lib", "1")
    assert rates == [(5, 5, 5), (7, 9, 3)]


def test_next_change_looks_at_the_providers_in_use(tmp_path: Path) -> None:
    book = PriceBook(_write(tmp_path), 100)
    assert book.next_change_at() is None
    book.names("a")
    assert book.next_change_at() == 200
    after = PriceBook(book._path, 200)
    after.names("a")
    assert after.next_change_at() is None


def test_known_model_without_a_price_is_not_free(tmp_path: Path) -> None:
    entry = PriceBook(_write(tmp_path), 100).lookup("a", "later")
    assert entry is not None
    assert entry.price is None


def test_borrowed_prices_are_found_but_not_listed(tmp_path: Path) -> None:
    book = PriceBook(_write(tmp_path), 100)
    entry = book.lookup("a", "borrowed")
    assert entry is not None
    assert entry.price is not None
    assert (entry.price.base.input, entry.price.base.cached_input, entry.price.base.output) == (2, 1, 0)
    assert book.names("a") == ["later", "m", "m-big"]
    assert book.lookup("b", "m") is None


def test_unknown_provider_knows_nothing(tmp_path: Path) -> None:
    book = PriceBook(_write(tmp_path), 100)
    assert book.lookup("c", "m") is None
    assert book.names("c") == []


def test_same_model_is_the_same_entry(tmp_path: Path) -> None:
    book = PriceBook(_write(tmp_path), 100)
    assert book.lookup("a", "m-2-x") is book.lookup("a", "M")


def test_shipped_table_is_small_and_names_are_concrete() -> None:
    assert TABLE_PATH.stat().st_size < 1_500_000
    book = PriceBook.load(int(datetime(2026, 11, 20, tzinfo=UTC).timestamp() * 1000))
    openai, google = book.names("openai"), book.names("google")
    assert {"gpt-4o", "gpt-4o-mini", "text-embedding-3-small"} <= set(openai)
    assert "claude-sonnet-4-5" in book.names("anthropic")
    assert not [name for name in openai if name.startswith("ft:") or name.endswith("-")]
    assert not [name for name in google if "claude" in name]
    assert all("/" in name for name in book.names("openrouter"))


@pytest.mark.slow
def test_library_is_not_imported_at_run_time() -> None:
    code = "import sys, gateway_proxy.pricing, gateway_proxy.routing; sys.exit('genai_prices' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
