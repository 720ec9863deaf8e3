"""Settings: the TOML file as frozen models, and every mistake in it at once.

News of a changed file come from `config.watch`, which is imported where it is needed: the command line starts
without it.
"""

from gateway_proxy.config.load import config_from_dict, load_config
from gateway_proxy.config.mistakes import ConfigError, Mistake
from gateway_proxy.config.model import Config
from gateway_proxy.config.presets import PRESETS, Dialect, Preset
from gateway_proxy.config.routing import Model, Price, Provider, Target, UnpricedRate
from gateway_proxy.config.schema import json_schema
from gateway_proxy.config.secrets import Secret, SecretReference

__all__ = [
    "PRESETS",
    "Config",
    "ConfigError",
    "Dialect",
    "Mistake",
    "Model",
    "Preset",
    "Price",
    "Provider",
    "Secret",
    "SecretReference",
    "Target",
    "UnpricedRate",
    "config_from_dict",
    "json_schema",
    "load_config",
]
