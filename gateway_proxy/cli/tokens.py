"""`tokens`: admin tokens."""

from typing import Any

import click

from gateway_proxy.cli.local import json_option, run_async
from gateway_proxy.cli.lookup import list_all
from gateway_proxy.cli.members import ROLES
from gateway_proxy.cli.output import print_fields, print_json, print_table, short_time
from gateway_proxy.cli.refusal import Refusal
from gateway_proxy.cli.target import Target, open_api, target_options
from gateway_proxy.core.ids import is_id


@click.command()
@click.option("--role", type=click.Choice(ROLES), required=True, help="What the token may do.")
@click.option(
    "--member",
    default="",
    metavar="E-MAIL",
    help="Whose it is: it may no more than they, and ends with them.",
)
@click.option(
    "--expires",
    required=True,
    metavar="WHEN",
    help="never, 30d, 60d, 90d, 180d, 1y, a date (its start in UTC) or a date-time.",
)
@click.option("--name", default="", metavar="NAME", help="What people call it.")
@target_options
@json_option
def create(role: str, member: str, expires: str, name: str, target: Target, as_json: bool) -> None:
    """Make an admin token and print its secret, once."""
    from gateway_proxy.keys.cells import read_expiry

    document = {"role": role, "member": member, "name": name, **read_expiry(expires)}

    async def work() -> Any:
        async with open_api(target, create=True) as api:
            return await api.send("POST", "/tokens", {m: v for m, v in document.items() if v != ""})

    made = run_async(work())
    if as_json:
        print_json(made)
        return
    shown = made["token"]
    print_fields(
        [
            ("id", shown["id"]),
            ("name", shown["name"] or "-"),
            ("role", shown["role"]),
            ("member", shown["member"] or "-"),
            ("organization", shown["organization"]),
            ("expires", shown["expires_at"] or "never"),
        ]
    )
    print(f"\nThe secret, which is not shown again:\n\n  {made['secret']}")


@click.command("list")
@target_options
@json_option
def list_tokens(target: Target, as_json: bool) -> None:
    """List admin tokens, newest first."""

    async def work() -> list[dict[str, Any]]:
        async with open_api(target) as api:
            return await list_all(api, "/tokens")

    objects = run_async(work())
    if as_json:
        print_json({"data": objects, "next_cursor": None})
    elif not objects:
        print("No admin tokens.")
    else:
        rows = [
            (
                o["preview"], o["name"], o["role"], o["member"] or "-", o["status"],
                short_time(o["expires_at"], "never"), short_time(o["last_used_at"], "never"), o["id"],
            )
            for o in objects
        ]  # fmt: skip
        print_table(("TOKEN", "NAME", "ROLE", "MEMBER", "STATUS", "EXPIRES", "LAST USED", "ID"), rows)


@click.command()
@click.argument("token", metavar="ID")
@target_options
@json_option
def revoke(token: str, target: Target, as_json: bool) -> None:
    """End an admin token for good."""

    async def work() -> Any:
        async with open_api(target) as api:
            if not is_id(token, "tok"):
                raise Refusal(f"there is no token {token}")
            shown = await api.send("GET", f"/tokens/{token}")
            await api.send("DELETE", f"/tokens/{shown['id']}")
            return shown

    shown = run_async(work())
    if as_json:
        print_json(shown)
    else:
        print(f"Revoked the token {shown['name'] or shown['preview']}.")
