"""`orgs`: the organizations of the local store."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway_proxy.cli.local import config_option, json_option, open_local, run_async
from gateway_proxy.cli.output import print_json, print_table, short_time

if TYPE_CHECKING:
    from gateway_proxy.admin.organizations import Added


@click.command()
@click.argument("name")
@click.option("--owner", default="", metavar="E-MAIL", help="Invite its first owner, and print the link.")
@config_option
@json_option
def add(name: str, owner: str, config_path: Path | None, as_json: bool) -> None:
    """Add an organization."""

    async def work() -> "Added":
        async with open_local(config_path, create=True) as local:
            document = {"name": name} | ({"owner": owner} if owner else {})
            return await (await local.admin()).organizations.add(local.actor, document)

    added = run_async(work())
    if as_json:
        print_json({"organization": added.organization, "link": added.link or None})
        return
    print(f"Added the organization {added.organization['name']} ({added.organization['id']}).")
    if added.link:
        print(
            f"\nThis link is for {owner}, once. Pass it on over a safe way; it is not shown again:\n\n  {added.link}"
        )


@click.command("list")
@config_option
@json_option
def list_organizations(config_path: Path | None, as_json: bool) -> None:
    """List organizations by name."""

    async def work() -> list[dict[str, Any]]:
        async with open_local(config_path) as local:
            return await (await local.admin()).organizations.list(local.actor)

    objects = run_async(work())
    if as_json:
        print_json({"data": objects, "next_cursor": None})
    elif not objects:
        print("No organizations.")
    else:
        print_table(
            ("NAME", "CREATED", "ID"), [(o["name"], short_time(o["created_at"]), o["id"]) for o in objects]
        )
