"""`tokens`: admin tokens of the local store."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway_proxy.cli.local import config_option, json_option, open_local, run_async
from gateway_proxy.cli.members import ROLES
from gateway_proxy.cli.output import print_fields, print_json, print_table, short_time

if TYPE_CHECKING:
    from gateway_proxy.admin.tokens import TokenSecret


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
@config_option
@json_option
def create(role: str, member: str, expires: str, name: str, config_path: Path | None, as_json: bool) -> None:
    """Make an admin token and print its secret, once."""
    from gateway_proxy.keys.cells import read_expiry

    document = {"role": role, "member": member, "name": name, **read_expiry(expires)}

    async def work() -> "TokenSecret":
        async with open_local(config_path, create=True) as local:
            return await (await local.admin()).tokens.create(local.actor, document)

    made = run_async(work())
    if as_json:
        print_json({"token": made.token, "secret": made.secret})
        return
    shown = made.token
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
    print(f"\nThe secret, which is not shown again:\n\n  {made.secret}")


@click.command("list")
@config_option
@json_option
def list_tokens(config_path: Path | None, as_json: bool) -> None:
    """List admin tokens, newest first."""

    async def work() -> list[dict[str, Any]]:
        async with open_local(config_path) as local:
            return await (await local.admin()).tokens.list(local.actor)

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
@config_option
@json_option
def revoke(token: str, config_path: Path | None, as_json: bool) -> None:
    """End an admin token for good."""

    async def work() -> dict[str, Any]:
        async with open_local(config_path) as local:
            admin = await local.admin()
            shown = await admin.tokens.find(local.actor, token)
            await admin.tokens.revoke(local.actor, token)
            return shown

    shown = run_async(work())
    if as_json:
        print_json(shown)
    else:
        print(f"Revoked the token {shown['name'] or shown['preview']}.")
