"""Providers, models and prices, one table at a time."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from gateway_proxy.config.routing import Model, ModelsDefault, Price, Provider, UnpricedRate
from gateway_proxy.core.catalog import USUAL_FALLBACK, Fallback

TARGET = {"provider": "openai", "model": "gpt-4o"}


def test_a_preset_needs_only_its_name() -> None:
    provider = Provider.model_validate({"name": "anthropic"})
    assert provider.dialect == "anthropic"
    assert provider.base_url == "https://api.anthropic.com"
    assert provider.price_table_id == "anthropic"
    assert provider.api_key is None
    assert (provider.timeouts.connect, provider.timeouts.first_byte, provider.timeouts.between_bytes) == (
        5,
        600,
        300,
    )
    assert provider.allow_stateful is True


def test_a_preset_that_repeats_its_own_url_stays_a_preset() -> None:
    provider = Provider.model_validate({"name": "openai", "base_url": "https://api.openai.com/v1/"})
    assert provider.price_table_id == "openai"


@pytest.mark.parametrize(
    "settings",
    [
        {"name": "openai", "base_url": "https://proxy.example.com/v1"},
        {"name": "openai", "dialect": "azure"},
        {"name": "acme", "base_url": "https://api.openai.com/v1"},
        {"name": "azure", "base_url": "https://acme.openai.azure.com"},
        {"name": "ollama"},
    ],
)
def test_other_providers_have_no_price_table(settings: dict[str, Any]) -> None:
    assert Provider.model_validate(settings).price_table_id is None


def test_other_providers_speak_openai_and_must_give_a_url() -> None:
    assert Provider.model_validate({"name": "acme", "base_url": "http://a"}).dialect == "openai"
    for name in ("acme", "azure"):
        with pytest.raises(ValidationError, match="is missing"):
            Provider.model_validate({"name": name})


def test_a_price_is_decimal_and_knows_what_it_prices() -> None:
    price = Price.model_validate({"input": 2.50, "output": "10", "per_request": 0})
    assert price.rates() == {"input": Decimal("2.5"), "output": Decimal(10), "per_request": Decimal(0)}
    assert price.cached_input is None


def test_a_price_without_any_rate_is_refused() -> None:
    with pytest.raises(ValidationError, match="names no price"):
        Price.model_validate({})


def test_model_defaults() -> None:
    model = Model.model_validate({"name": "m", "targets": [TARGET]})
    assert (model.retries, model.on_disconnect, model.price) == (1, "auto", None)
    assert (model.max_output_tokens, model.max_input_tokens) == (None, None)
    assert (model.targets[0].weight, model.targets[0].tier) == (1, None)


@pytest.mark.parametrize(
    "change",
    [
        {"targets": []},
        {"targets": None},
        {"retries": 11},
        {"retries": -1},
        {"retries": 1.0},
        {"on_disconnect": "stop"},
        {"max_output_tokens": 0},
        {"price": 3},
        {"targets": [{**TARGET, "weight": -1}]},
        {"targets": [{**TARGET, "weight": float("inf")}]},
        {"targets": [{**TARGET, "tier": "1"}]},
        {"name": "a b"},
    ],
)
def test_other_models_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Model.model_validate({"name": "m", "targets": [TARGET], **change})


def test_weights_may_be_fractions_and_zero() -> None:
    targets = [{**TARGET, "weight": weight, "tier": 2} for weight in (0, 0.5, 3)]
    model = Model.model_validate({"name": "m", "targets": targets})
    assert [target.weight for target in model.targets] == [0, 0.5, 3]


def test_unpriced_is_a_word_or_a_rate() -> None:
    assert ModelsDefault().unpriced == "deny"
    assert ModelsDefault.model_validate({"unpriced": "free"}).unpriced == "free"
    rate = ModelsDefault.model_validate({"unpriced": {"input": 5, "output": 20}}).unpriced
    assert isinstance(rate, UnpricedRate)
    assert rate.output == 20
    for wrong in ("allow", 5, {"input": 5}, {}):
        with pytest.raises(ValidationError):
            ModelsDefault.model_validate({"unpriced": wrong})


def test_fallback_as_the_contract_has_it_or_as_chosen() -> None:
    usual = Model.model_validate({"name": "m", "targets": [TARGET]})
    assert usual.fallback() == USUAL_FALLBACK and not usual.is_planned()
    chosen = Model.model_validate({"name": "m", "targets": [TARGET], "fallback_on": ["timeout", 404]})
    assert chosen.fallback() == Fallback(False, True, frozenset((404,)))
    never = Model.model_validate({"name": "m", "targets": [TARGET], "fallback_on": []})
    assert never.fallback() == Fallback(False, False, frozenset())


@pytest.mark.parametrize("fault", ["4xx", 200, 399, 600, True, "429"])
def test_faults_that_cannot_be_chosen(fault: object) -> None:
    with pytest.raises(ValidationError, match="must be"):
        Model.model_validate({"name": "m", "targets": [TARGET], "fallback_on": [fault]})


def test_a_plan_is_asked_for() -> None:
    sticky = Model.model_validate({"name": "m", "targets": [TARGET], "sticky": ["metadata.user_id", "key"]})
    quick = Model.model_validate({"name": "m", "targets": [TARGET], "choose": "latency"})
    assert sticky.is_planned() and quick.is_planned()
    for name in ("", "a.", "a b", "messages[0]"):
        with pytest.raises(ValidationError, match="member of the body"):
            Model.model_validate({"name": "m", "targets": [TARGET], "sticky": [name]})


def test_probes_are_off_and_paths_are_paths() -> None:
    assert Provider.model_validate({"name": "openai"}).probe.interval == 0
    for path in ("models", "/a b", "/a\r\nx: y"):
        with pytest.raises(ValidationError, match="must be a path"):
            Provider.model_validate({"name": "openai", "probe": {"path": path}})
