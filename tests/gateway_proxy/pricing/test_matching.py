"""Names find the same model as in the library."""

import random
import time

import pytest
from genai_prices.data import providers

from gateway_proxy.pricing.book import PriceBook
from gateway_proxy.pricing.compile import equal_names
from gateway_proxy.pricing.matching import Clause, Matcher, dash_compact_date

BOOK = PriceBook.load(0)


def _find(clause: Clause, name: str) -> bool:
    return Matcher([([], clause)]).find(name) == 0


@pytest.mark.parametrize(
    ("clause", "yes", "no"),
    [
        ("a-1", "A-1", "a-12"),
        (["starts_with", "ab"], "ABc", "cab"),
        (["ends_with", "ab"], "cAB", "abc"),
        (["contains", "b"], "aBc", "ac"),
        (["regex", r"^a-\d$"], "A-1", "a-12"),
        (["or", "x", ["starts_with", "y"]], "yz", "xy"),
        (["and", ["starts_with", "a"], ["ends_with", "z"]], "abz", "ab"),
        (["or", ["and", "q", ["contains", "q"]], "r"], "q", "s"),
    ],
)
def test_clauses(clause: Clause, yes: str, no: str) -> None:
    assert _find(clause, yes)
    assert not _find(clause, no)


def test_unknown_clause_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown kind: sounds_like"):
        Matcher([([], ["sounds_like", "x"])])


def test_first_row_wins_whatever_its_kind() -> None:
    assert Matcher([([], ["contains", "a"]), (["ab"], None)]).find("ab") == 0
    assert Matcher([(["ab"], None), ([], ["contains", "a"])]).find("ab") == 0
    assert Matcher([(["ab"], None), ([], ["contains", "a"])]).find("ac") == 1
    assert Matcher([(["ab"], None)]).find("b") is None


@pytest.mark.parametrize(
    ("name", "dashed"),
    [
        ("gpt-5.2-20251211", "gpt-5.2-2025-12-11"),
        ("m-20251211:free", "m-2025-12-11:free"),
        ("m-20251331", "m-20251331"),
        ("m-20250230", "m-20250230"),
        ("m20251211", "m20251211"),
        ("m-202512110", "m-202512110"),
    ],
)
def test_compact_dates(name: str, dashed: str) -> None:
    assert dash_compact_date(name) == dashed


@pytest.mark.slow
def test_same_model_as_the_library_for_names_and_near_misses() -> None:
    draw = random.Random(3)
    found = 0
    for provider in draw.sample(providers, len(providers)):
        names = [name for model in provider.models for name in (model.id, *equal_names(model.match))]
        for name in draw.sample(names, min(len(names), 25)):
            for asked in (name, name.upper(), name[:-1], f"{name}-20260102", f"x{name}", f"{name}@1"):
                theirs = provider.find_model(asked, all_providers=providers)
                ours = BOOK.lookup(provider.id, asked)
                assert (ours is None) == (theirs is None), (provider.id, asked)
                if theirs is not None and ours is not None:
                    assert ours.context_tokens == theirs.context_window, (provider.id, asked)
                    found += 1
    assert found > 1000


def test_hostile_names_are_cheap() -> None:
    BOOK.lookup("azure", "warm")
    started = time.process_time()
    for name in ("a" * 128, "-" * 128, "claude-" * 18, "gpt-4o-" + "9" * 121):
        BOOK.lookup("azure", name)
    assert time.process_time() - started < 0.05
