"""`keys list` and `keys show`."""

from pathlib import Path
from typing import Any

import click

from gateway_proxy.cli.key_text import describe, print_key, print_keys
from gateway_proxy.cli.local import config_option, json_option, open_local, run_async
from gateway_proxy.cli.output import print_json


@click.command("list")
@config_option
@json_option
@click.option("--search", default="", metavar="TEXT", help="Part of the name or of the key as shown.")
@click.option(
    "--status", type=click.Choice(["all", "active", "inactive", "expired", "revoked"]), default="all"
)
@click.option(
    "--sort", type=click.Choice(["created_at", "name", "owner", "status", "requests"]), default="created_at"
)
@click.option("--order", type=click.Choice(["asc", "desc"]), default="asc")
def list_keys(
    config_path: Path | None, as_json: bool, search: str, status: Any, sort: Any, order: str
) -> None:
    """List keys."""

    async def work() -> list[dict[str, Any]]:
        async with open_local(config_path) as local:
            filters = {"search": search, "status": status, "sort": sort, "descending": order == "desc"}
            return await describe(local, await local.search_keys(**filters))

    objects = run_async(work())
    if as_json:
        print_json({"data": objects, "next_cursor": None})
    else:
        print_keys(objects)


@click.command()
@click.argument("key", metavar="ID|NAME")
@config_option
@json_option
def show(key: str, config_path: Path | None, as_json: bool) -> None:
    """Show one key, by its id or by its exact name if no other key has it."""

    async def work() -> dict[str, Any]:
        async with open_local(config_path) as local:
            found = await local.find_key(key)
            live_on = await local.wait_until_live(found.organization, None)
            return (await describe(local, [found], live_on))[0]

    shown = run_async(work())
    if as_json:
        print_json(shown)
    else:
        print_key(shown)
