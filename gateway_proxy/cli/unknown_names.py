"""Warnings of providers and MCP servers that a key was given and the settings at hand do not have.

Promises: never more than a warning, since other gateways on the store may have them. Judging the form of a name belongs
to `keys.draft`.
"""

import difflib
from collections.abc import Iterable
from typing import Any

import click

from gateway_proxy.cli.local import load_settings
from gateway_proxy.cli.target import Target


def warn_of_unknown_names(target: Target, draft: dict[str, Any]) -> None:
    """A line on standard error for each; nothing where there is no settings file to look at. Raises Refusal."""
    mcp = draft.get("mcp", {})
    providers = draft.get("allowed_providers") or []
    servers = dict.fromkeys([*(mcp.get("servers") or []), *(mcp.get("tools") or {})])
    if target.url or not (providers or servers):
        return
    config = load_settings(target.config_path)
    if config.source is None:
        return
    _warn("provider", providers, [provider.name for provider in config.providers])
    _warn("MCP server", servers, [server.name for server in config.mcp.servers])


def _warn(noun: str, names: Iterable[str], known: list[str]) -> None:
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            click.echo(f"warning: no {noun} {name!r} is configured here{hint}", err=True)
