"""`serve`: what it says of settings that this version does not use. Starting and refusing is held by the flows."""

from gateway_proxy.cli.serve import find_idle_settings
from gateway_proxy.config import config_from_dict


def test_defaults_have_nothing_idle() -> None:
    assert find_idle_settings(config_from_dict({})) == []


def test_settings_without_effect_are_named() -> None:
    config = config_from_dict(
        {
            "shared": {"redis_url": "redis://127.0.0.1"},
        }
    )
    assert find_idle_settings(config) == ["[shared] redis_url"]
