"""`check` and `config schema`: the settings file, without starting anything and without writing anything."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway_proxy.cli.local import config_option, json_option
from gateway_proxy.cli.output import print_json
from gateway_proxy.core.clock import Clock

if TYPE_CHECKING:
    from gateway_proxy.config import Config, ConfigError


@click.command()
@config_option
@json_option
@click.pass_context
def check(context: click.Context, config_path: Path | None, as_json: bool) -> None:
    """Check the settings: every mistake at once, and the models that have no price. Exit code 0 or 1."""
    from gateway_proxy.config import ConfigError, load_config
    from gateway_proxy.plugins.load import load_plugins

    try:
        config = load_config(config_path)
        load_plugins(config)
    except ConfigError as error:
        _report_mistakes(error, as_json)
        context.exit(1)
    names, unpriced = price_models(config)
    if as_json:
        print_json({"valid": True, "errors": [], "models": len(names), "unpriced_models": unpriced})
        return
    providers = ", ".join(provider.name for provider in config.providers) or "none yet"
    print(f"{config.source or 'The built-in defaults'}: valid")
    print(f"Providers: {providers}")
    print(f"Models: {len(config.models)} declared, {len(names)} routable by name")
    print(f"Store: {config.storage.sqlite_path or 'PostgreSQL'}; listens on {config.server.listen}")
    if config.shared.redis_url is not None and config.storage.sqlite_path is not None:
        print("shared.redis_url has no effect: gateways share counters on a PostgreSQL store only")
    if unpriced:
        print(f"\n{len(unpriced)} without a price; keys with a budget cannot use them:")
        for name in unpriced:
            print(f"  {name}")


@click.command()
@json_option
def schema(as_json: bool) -> None:
    """Print the JSON Schema of the settings file, for editors. It is JSON with and without --json."""
    from gateway_proxy.config import json_schema

    print_json(json_schema())


def price_models(config: "Config") -> tuple[list[str], list[str]]:
    """The names that can be routed without a provider in front, and those of them that have no price."""
    from gateway_proxy.pricing import PriceBook
    from gateway_proxy.routing import build_catalog

    catalog = build_catalog(config, PriceBook.load(Clock().now_ms()))
    return list(catalog.names()), catalog.unpriced()


def _report_mistakes(error: "ConfigError", as_json: bool) -> None:
    if as_json:
        print_json({"valid": False, "errors": [_mistake_object(mistake) for mistake in error.mistakes]})
        return
    for mistake in error.mistakes:
        click.echo(str(mistake), err=True)


def _mistake_object(mistake: Any) -> dict[str, Any]:
    from gateway_proxy.config.mistakes import render_path

    return {
        "file": str(mistake.file) if mistake.file else None,
        "line": mistake.line,
        "path": render_path(mistake.path),
        "message": mistake.message,
    }
