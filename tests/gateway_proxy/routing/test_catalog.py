"""Names resolve exactly as the settings and the price table say."""

from pathlib import Path
from typing import Any

import pytest

from gateway_proxy.config import config_from_dict
from gateway_proxy.core.usage import Price
from gateway_proxy.pricing.book import PriceBook
from gateway_proxy.routing import catalog as catalog_module
from gateway_proxy.routing.catalog import Catalog, build_catalog, is_model_name

AT_MS = 1_795_000_000_000
BOOK = PriceBook.load(AT_MS)
LOCAL = {"name": "local", "base_url": "http://127.0.0.1:9/v1", "models": ["llama", "gpt-4o", "org/llama"]}


def _catalog(**settings: Any) -> Catalog:
    settings.setdefault("providers", [{"name": "openai"}, {"name": "anthropic"}, LOCAL])
    return build_catalog(config_from_dict(settings, folder=Path("/"), environment={}), BOOK)


def _targets(catalog: Catalog, name: str) -> list[tuple[str, str]] | None:
    entry = catalog.resolve(name)
    if entry is None:
        return None
    assert entry.name == name
    return [(target.provider, target.model) for target in entry.targets]


def _price(catalog: Catalog, name: str) -> Price | None:
    entry = catalog.resolve(name)
    assert entry is not None
    return entry.targets[0].price


DECLARED = {
    "name": "gpt-4o",
    "targets": [
        {"provider": "local", "model": "llama", "weight": 2, "tier": 1},
        {"provider": "openai", "model": "gpt-4o-mini", "tier": 1},
    ],
    "retries": 3,
    "on_disconnect": "drain",
}


def test_declared_name_wins_over_all_others() -> None:
    catalog = _catalog(models=[DECLARED, {**DECLARED, "name": "openai/gpt-4o"}])
    entry = catalog.resolve("gpt-4o")
    assert entry is not None
    assert [(t.provider, t.model, t.weight, t.tier) for t in entry.targets] == [
        ("local", "llama", 2, 1),
        ("openai", "gpt-4o-mini", 1, 1),
    ]
    assert (entry.declared, entry.retries, entry.on_disconnect) == (True, 3, "drain")
    assert _targets(catalog, "openai/gpt-4o") == _targets(catalog, "gpt-4o")


def test_left_of_the_first_slash_is_a_provider() -> None:
    catalog = _catalog()
    assert _targets(catalog, "openai/gpt-4o") == [("openai", "gpt-4o")]
    assert _targets(catalog, "openai/of/any/kind") == [("openai", "of/any/kind")]
    assert _targets(catalog, "local/gpt-4o") == [("local", "gpt-4o")]
    assert _targets(catalog, "org/llama") == [("local", "org/llama")]
    for unknown in ("nobody/gpt-4o", "openai/", "/gpt-4o", "OpenAI/gpt-4o", "openai"):
        assert catalog.resolve(unknown) is None


def test_bare_name_goes_to_the_first_provider_that_knows_it() -> None:
    assert _targets(_catalog(), "gpt-4o") == [("openai", "gpt-4o")]
    assert _targets(_catalog(providers=[LOCAL, {"name": "openai"}]), "gpt-4o") == [("local", "gpt-4o")]
    assert _targets(_catalog(), "claude-sonnet-4-5") == [("anthropic", "claude-sonnet-4-5")]
    for unknown in ("GPT-4o", "gpt-4o-nonsense", "claude-sonnet-4-5-20991231", "ft:gpt-4o"):
        assert _catalog().resolve(unknown) is None


def test_custom_base_url_lists_only_its_own_models() -> None:
    catalog = _catalog(
        providers=[{"name": "openai", "base_url": "http://127.0.0.1:9/v1", "models": ["mine"]}]
    )
    assert catalog.names() == ("mine",)
    assert catalog.resolve("gpt-4o") is None
    assert _price(catalog, "openai/gpt-4o") is None


def test_undeclared_names_can_be_forbidden() -> None:
    catalog = _catalog(models=[DECLARED], models_default={"allow_undeclared": False})
    assert catalog.names() == ("gpt-4o",)
    for unknown in ("openai/gpt-4o", "llama", "gpt-4o-mini"):
        assert catalog.resolve(unknown) is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "openai/e\u0301",
        "openai/a b",
        "openai/a\tb",
        "openai/a\u00a0b",
        "openai/a\x00b",
        "openai/a\u200bb",
        "openai/\ud800",
        "openai/" + "x" * 122,
        " openai/x",
        "openai/x\n",
    ],
)
def test_inexact_names_never_resolve(name: str) -> None:
    assert _catalog().resolve(name) is None
    assert not is_model_name(name)


def test_longest_and_composed_names_resolve() -> None:
    catalog = _catalog()
    for name in ("openai/" + "x" * 121, "openai/\u00e9"):
        assert catalog.resolve(name) is not None


def test_every_listed_name_resolves_and_none_is_missing() -> None:
    catalog = _catalog(models=[{**DECLARED, "name": "mine"}])
    names = catalog.names()
    assert list(names) == sorted(set(names))
    assert {"mine", "llama", "gpt-4o", "claude-sonnet-4-5", "org/llama"} <= set(names)
    assert all(catalog.resolve(name) is not None for name in names)
    assert catalog.names() is names


@pytest.mark.parametrize(
    ("name", "listed"),
    [
        ("mine", True), ("llama", True), ("openai/gpt-4o", True), ("local/mine", True), ("claude-sonnet-4-5", True),
        ("openai/made-up", False), ("nobody/llama", False), ("made-up", False), ("", False), ("openai/", False),
    ],
)  # fmt: skip
def test_listed_names_are_finitely_many(name: str, listed: bool) -> None:
    catalog = _catalog(models=[{**DECLARED, "name": "mine"}])
    catalog.resolve("openai/made-up")  # resolves, and is remembered for a while: no listed name for all that
    assert catalog.lists(name) is listed


def test_router_does_not_list_what_would_go_elsewhere() -> None:
    providers = [{"name": "openrouter"}, {"name": "openai"}]
    catalog = _catalog(providers=providers)
    assert _targets(catalog, "openai/gpt-4o") == [("openai", "gpt-4o")]
    assert "openai/gpt-4o" in catalog.names()
    assert "openai/gpt-oss-120b:free" not in catalog.names()
    assert _targets(catalog, "meta-llama/llama-3.3-70b-instruct") == [
        ("openrouter", "meta-llama/llama-3.3-70b-instruct")
    ]


def test_price_of_a_target() -> None:
    catalog = _catalog(
        models=[{**DECLARED, "name": "mine", "price": {"input": "1", "output": "2"}}, DECLARED]
    )
    mine, plain = catalog.resolve("mine"), catalog.resolve("gpt-4o")
    assert mine is not None
    assert plain is not None
    assert [t.price.base.source if t.price else None for t in mine.targets] == ["config", "config"]
    assert [t.price.base.source if t.price else None for t in plain.targets] == [None, "genai-prices"]
    table = _price(catalog, "openai/gpt-4o-2024-08-06")
    assert table is not None
    assert table.base.output == 10 * 10**9
    assert _price(catalog, "openai/unheard-of") is None


@pytest.mark.parametrize(
    ("unpriced", "output"), [("deny", None), ("free", 0), ({"input": "1", "output": "2"}, 2 * 10**9)]
)
def test_default_for_unpriced_models(unpriced: object, output: int | None) -> None:
    catalog = _catalog(models_default={"unpriced": unpriced})
    price = _price(catalog, "llama")
    assert (price.base.output if price else None) == output
    assert price is None or price.base.source == "default"
    gpt = _price(catalog, "gpt-4o")
    assert gpt is not None
    assert gpt.base.source == "genai-prices"
    assert catalog.unpriced() == ["llama", "org/llama"]


def test_limits_fall_back_to_the_context_window() -> None:
    single = {"name": "m", "targets": [{"provider": "openai", "model": "gpt-4o"}]}
    both = {
        "name": "b",
        "targets": [{"provider": "openai", "model": "gpt-4o"}, {"provider": "local", "model": "x"}],
    }
    catalog = _catalog(
        models=[single, {**single, "name": "n", "max_output_tokens": 9, "max_input_tokens": 8}, both]
    )

    def limits(name: str) -> tuple[int | None, int | None]:
        entry = catalog.resolve(name)
        assert entry is not None
        return entry.max_input_tokens, entry.max_output_tokens

    assert limits("m") == (128_000, 128_000)
    assert limits("n") == (8, 9)
    assert limits("b") == (None, None)
    assert limits("openai/gpt-4o") == (128_000, 128_000)
    assert limits("llama") == (None, None)


def test_repeated_names_are_remembered_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog_module, "MAX_REMEMBERED", 3)
    catalog = _catalog()
    first = catalog.resolve("openai/a")
    for name in ("b", "c", "a", "d", "e", "a"):
        catalog.resolve(f"openai/{name}")
        catalog.resolve(name)
        assert len(catalog._remembered) <= 3
    assert catalog.resolve("openai/a") is first
    assert len(catalog._entries) == 0
