"""Presets name real price tables and follow the SDKs' habit with versions."""

import re

from genai_prices import data_snapshot

from gateway_proxy.config.presets import PRESETS
from gateway_proxy.config.routing import Provider


def test_there_are_enough_openai_compatible_presets() -> None:
    assert sum(preset.dialect == "openai" for preset in PRESETS.values()) >= 20


def test_each_preset_with_a_url_is_a_valid_provider() -> None:
    for name, preset in PRESETS.items():
        if preset.base_url is not None:
            provider = Provider.model_validate({"name": name})
            assert (provider.dialect, provider.base_url) == (preset.dialect, preset.base_url)
            assert provider.price_table_id == preset.price_table_id


def test_price_tables_exist_and_belong_to_the_url() -> None:
    tables = {provider.id: provider for provider in data_snapshot.get_snapshot().providers}
    for name, preset in PRESETS.items():
        if preset.price_table_id is None:
            continue
        table = tables[preset.price_table_id]
        assert preset.base_url is None or re.match(table.api_pattern, preset.base_url), name


def test_versions_stand_where_the_sdks_expect_them() -> None:
    for preset in PRESETS.values():
        if preset.dialect in {"anthropic", "gemini"}:
            assert preset.base_url is not None
            assert "/v" not in preset.base_url
