"""gateway-proxy: a streaming reverse proxy in front of LLM providers, with its own keys, limits and budgets.

The names below are the Python API, under semantic versioning; modules beside them are the inside. Each name is imported
when it is asked for first: importing the package alone loads nothing and starts nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway_proxy.app.mounted import MountedGateway
    from gateway_proxy.app.mounting import create_app, mount, mount_dashboard
    from gateway_proxy.config import Config, ConfigError, config_from_dict, load_config
    from gateway_proxy.core.dialect import Dialect, UsageTap
    from gateway_proxy.core.errors import Denied
    from gateway_proxy.core.ledger import LedgerRow, LogRow
    from gateway_proxy.dialects.openai import OpenAIDialect
    from gateway_proxy.plugins.exchange import Exchange
    from gateway_proxy.plugins.sink import Rows, Sink
    from gateway_proxy.plugins.stage import AsyncStage, Stage

__version__ = "0.1.0"

_HOMES = {
    "AsyncStage": "gateway_proxy.plugins.stage",
    "Config": "gateway_proxy.config",
    "ConfigError": "gateway_proxy.config",
    "Denied": "gateway_proxy.core.errors",
    "Dialect": "gateway_proxy.core.dialect",
    "Exchange": "gateway_proxy.plugins.exchange",
    "LedgerRow": "gateway_proxy.core.ledger",
    "LogRow": "gateway_proxy.core.ledger",
    "MountedGateway": "gateway_proxy.app.mounted",
    "OpenAIDialect": "gateway_proxy.dialects.openai",
    "Rows": "gateway_proxy.plugins.sink",
    "Sink": "gateway_proxy.plugins.sink",
    "Stage": "gateway_proxy.plugins.stage",
    "UsageTap": "gateway_proxy.core.dialect",
    "config_from_dict": "gateway_proxy.config",
    "create_app": "gateway_proxy.app.mounting",
    "load_config": "gateway_proxy.config",
    "mount": "gateway_proxy.app.mounting",
    "mount_dashboard": "gateway_proxy.app.mounting",
}

__all__ = [
    "AsyncStage",
    "Config",
    "ConfigError",
    "Denied",
    "Dialect",
    "Exchange",
    "LedgerRow",
    "LogRow",
    "MountedGateway",
    "OpenAIDialect",
    "Rows",
    "Sink",
    "Stage",
    "UsageTap",
    "__version__",
    "config_from_dict",
    "create_app",
    "load_config",
    "mount",
    "mount_dashboard",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'gateway_proxy' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
