"""`members`: who may sign in to the dashboard there."""

from collections.abc import Awaitable, Callable
from typing import Any

import click

from gateway_proxy.cli.local import json_option, run_async
from gateway_proxy.cli.lookup import find_member, list_all
from gateway_proxy.cli.output import print_fields, print_json, print_table, short_time
from gateway_proxy.cli.target import AdminApi, Target, open_api, target_options

ROLES = ("owner", "admin", "member", "viewer")
_role = click.Choice(ROLES)


@click.command()
@click.argument("email", metavar="E-MAIL")
@click.option("--role", type=_role, default="member", show_default=True, help="What they may do.")
@click.option("--name", default="", metavar="NAME", help="What people call them.")
@click.option("--organization", default="", metavar="NAME", help="Where several are served: which one.")
@target_options
@json_option
def add(email: str, role: str, name: str, organization: str, target: Target, as_json: bool) -> None:
    """Invite somebody and print the link by which they set a password. It works once, within 7 days."""
    document = {"email": email, "role": role, "name": name, "organization": organization}

    async def work() -> Any:
        async with open_api(target, create=True) as api:
            return await api.send("POST", "/members", {m: v for m, v in document.items() if v})

    _print_invited(run_async(work()), as_json)


@click.command("list")
@click.option("--search", default="", metavar="TEXT", help="Part of the e-mail address or name.")
@target_options
@json_option
def list_members(search: str, target: Target, as_json: bool) -> None:
    """List members by e-mail address."""

    async def work() -> list[dict[str, Any]]:
        async with open_api(target) as api:
            return await list_all(api, "/members", search=search)

    objects = run_async(work())
    if as_json:
        print_json({"data": objects, "next_cursor": None})
    elif not objects:
        print("No members.")
    else:
        rows = [
            (
                o["email"],
                o["name"],
                o["role"],
                o["status"],
                o["organization"],
                short_time(o["last_sign_in_at"]),
                o["id"],
            )
            for o in objects
        ]
        print_table(("E-MAIL", "NAME", "ROLE", "STATUS", "ORGANIZATION", "LAST SIGN-IN", "ID"), rows)


@click.command("set-role")
@click.argument("member", metavar="E-MAIL|ID")
@click.argument("role", type=_role)
@target_options
@json_option
def set_role(member: str, role: str, target: Target, as_json: bool) -> None:
    """Give a member another role; what they may do changes with their next request."""

    async def act(api: AdminApi, path: str) -> Any:
        return await api.send("PATCH", path, {"role": role})

    _print_member(_change(member, target, act), as_json)


@click.command()
@click.argument("member", metavar="E-MAIL|ID")
@click.option(
    "--transfer-to",
    default="",
    metavar="E-MAIL",
    help="Who gets their keys; default: the keys are deactivated.",
)
@target_options
@json_option
def remove(member: str, transfer_to: str, target: Target, as_json: bool) -> None:
    """End a membership with its sessions and tokens. The keys are deactivated, or handed to another member."""

    async def act(api: AdminApi, path: str) -> Any:
        shown = await api.send("GET", path)
        await api.send("DELETE", path, query={"transfer_to": transfer_to or None})
        return shown

    shown = _change(member, target, act)
    if as_json:
        print_json(shown)
    else:
        print(
            f"Removed {shown['email']}; their keys were {f'handed to {transfer_to}' if transfer_to else 'deactivated'}."
        )


@click.command("setup-link")
@click.argument("member", metavar="E-MAIL|ID")
@target_options
@json_option
def setup_link(member: str, target: Target, as_json: bool) -> None:
    """Print a link by which a member sets a first or a new password. Earlier links of theirs end."""

    async def act(api: AdminApi, path: str) -> Any:
        return await api.send("POST", f"{path}/link")

    _print_invited(_change(member, target, act), as_json)


def _change(member: str, target: Target, act: Callable[[AdminApi, str], Awaitable[Any]]) -> Any:
    async def work() -> Any:
        async with open_api(target) as api:
            found = await find_member(api, member)
            return await act(api, f"/members/{found['id']}")

    return run_async(work())


def _print_member(shown: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(shown)
        return
    labels = ("id", "email", "name", "role", "status", "organization")
    print_fields([(label, shown[label] or "-") for label in labels])


def _print_invited(invited: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(invited)
        return
    _print_member(invited["member"], as_json)
    print(
        f"\nThis link sets the password, once. Pass it on over a safe way; it is not shown again:\n\n  {invited['link']}"
    )
