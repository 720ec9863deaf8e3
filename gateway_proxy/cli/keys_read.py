"""`keys list` and `keys show`."""

from typing import Any

import click

from gateway_proxy.cli.key_text import print_key, print_keys
from gateway_proxy.cli.local import json_option, run_async
from gateway_proxy.cli.lookup import find_key, list_all
from gateway_proxy.cli.output import print_json
from gateway_proxy.cli.target import Target, open_api, target_options


@click.command("list")
@target_options
@json_option
@click.option("--search", default="", metavar="TEXT", help="Part of the name or of the key as shown.")
@click.option(
    "--status", type=click.Choice(["all", "active", "inactive", "expired", "revoked"]), default="all"
)
@click.option("--kind", type=click.Choice(["all", "key", "ephemeral"]), default="all")
@click.option(
    "--sort", type=click.Choice(["created_at", "name", "owner", "status", "requests"]), default="created_at"
)
@click.option("--order", type=click.Choice(["asc", "desc"]), default="asc")
def list_keys(target: Target, as_json: bool, **filters: str) -> None:
    """List keys and ephemeral tokens."""

    async def work() -> list[dict[str, Any]]:
        async with open_api(target) as api:
            return await list_all(api, "/keys", **filters)

    objects = run_async(work())
    if as_json:
        print_json({"data": objects, "next_cursor": None})
    else:
        print_keys(objects)


@click.command()
@click.argument("key", metavar="ID|NAME")
@target_options
@json_option
def show(key: str, target: Target, as_json: bool) -> None:
    """Show one key, by its id or by its exact name if no other key has it."""

    async def work() -> Any:
        async with open_api(target) as api:
            return await api.send("GET", f"/keys/{(await find_key(api, key))['id']}")

    shown = run_async(work())
    if as_json:
        print_json(shown)
    else:
        print_key(shown)
