"""`orgs`: the organizations there are."""

from typing import Any

import click

from gateway_proxy.cli.local import json_option, run_async
from gateway_proxy.cli.lookup import list_all
from gateway_proxy.cli.output import print_json, print_table, short_time
from gateway_proxy.cli.target import Target, open_api, target_options


@click.command()
@click.argument("name")
@click.option("--owner", default="", metavar="E-MAIL", help="Invite its first owner, and print the link.")
@target_options
@json_option
def add(name: str, owner: str, target: Target, as_json: bool) -> None:
    """Add an organization."""

    document = {"name": name} | ({"owner": owner} if owner else {})

    async def work() -> Any:
        async with open_api(target, create=True) as api:
            return await api.send("POST", "/organizations", document)

    added = run_async(work())
    if as_json:
        print_json(added)
        return
    print(f"Added the organization {added['organization']['name']} ({added['organization']['id']}).")
    if added["link"]:
        print(
            f"\nThis link is for {owner}, once. Pass it on over a safe way; it is not shown again:\n\n  {added['link']}"
        )


@click.command("list")
@target_options
@json_option
def list_organizations(target: Target, as_json: bool) -> None:
    """List organizations by name."""

    async def work() -> list[dict[str, Any]]:
        async with open_api(target) as api:
            return await list_all(api, "/organizations")

    objects = run_async(work())
    if as_json:
        print_json({"data": objects, "next_cursor": None})
    elif not objects:
        print("No organizations.")
    else:
        print_table(
            ("NAME", "CREATED", "ID"), [(o["name"], short_time(o["created_at"]), o["id"]) for o in objects]
        )
