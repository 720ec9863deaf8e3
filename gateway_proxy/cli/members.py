"""`members`: who may sign in to the dashboard of the local store."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway_proxy.cli.local import Local, config_option, json_option, open_local, run_async
from gateway_proxy.cli.output import print_fields, print_json, print_table, short_time

if TYPE_CHECKING:
    from gateway_proxy.admin.members import Invited
    from gateway_proxy.admin.services import Admin

ROLES = ("owner", "admin", "member", "viewer")
_role = click.Choice(ROLES)


@click.command()
@click.argument("email", metavar="E-MAIL")
@click.option("--role", type=_role, default="member", show_default=True, help="What they may do.")
@click.option("--name", default="", metavar="NAME", help="What people call them.")
@click.option("--organization", default="", metavar="NAME", help="Where several are served: which one.")
@config_option
@json_option
def add(email: str, role: str, name: str, organization: str, config_path: Path | None, as_json: bool) -> None:
    """Invite somebody and print the link by which they set a password. It works once, within 7 days."""
    document = {"email": email, "role": role, "name": name, "organization": organization}

    async def work() -> "Invited":
        async with open_local(config_path, create=True) as local:
            return await (await local.admin()).members.add(local.actor, document)

    _print_invited(run_async(work()), as_json)


@click.command("list")
@click.option("--search", default="", metavar="TEXT", help="Part of the e-mail address or name.")
@config_option
@json_option
def list_members(search: str, config_path: Path | None, as_json: bool) -> None:
    """List members by e-mail address."""

    async def work() -> list[dict[str, Any]]:
        async with open_local(config_path) as local:
            return await (await local.admin()).members.list(local.actor, search=search)

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
@config_option
@json_option
def set_role(member: str, role: str, config_path: Path | None, as_json: bool) -> None:
    """Give a member another role; what they may do changes with their next request."""

    async def act(admin: "Admin", local: Local, member_id: str) -> dict[str, Any]:
        return await admin.members.update(local.actor, member_id, {"role": role})

    _print_member(_change(member, config_path, act), as_json)


@click.command()
@click.argument("member", metavar="E-MAIL|ID")
@click.option(
    "--transfer-to",
    default="",
    metavar="E-MAIL",
    help="Who gets their keys; default: the keys are deactivated.",
)
@config_option
@json_option
def remove(member: str, transfer_to: str, config_path: Path | None, as_json: bool) -> None:
    """End a membership with its sessions and tokens. The keys are deactivated, or handed to another member."""

    async def act(admin: "Admin", local: Local, member_id: str) -> dict[str, Any]:
        shown = await admin.members.find(local.actor, member_id)
        await admin.members.remove(local.actor, member_id, transfer_to=transfer_to)
        return shown

    shown = _change(member, config_path, act)
    if as_json:
        print_json(shown)
    else:
        print(
            f"Removed {shown['email']}; their keys were {f'handed to {transfer_to}' if transfer_to else 'deactivated'}."
        )


@click.command("setup-link")
@click.argument("member", metavar="E-MAIL|ID")
@config_option
@json_option
def setup_link(member: str, config_path: Path | None, as_json: bool) -> None:
    """Print a link by which a member sets a first or a new password. Earlier links of theirs end."""

    async def act(admin: "Admin", local: Local, member_id: str) -> "Invited":
        return await admin.members.make_link(local.actor, member_id)

    _print_invited(_change(member, config_path, act), as_json)


def _change(
    member: str, config_path: Path | None, act: Callable[["Admin", Local, str], Awaitable[Any]]
) -> Any:
    async def work() -> Any:
        async with open_local(config_path) as local:
            admin = await local.admin()
            return await act(admin, local, await find_member_id(admin, local, member))

    return run_async(work())


async def find_member_id(admin: "Admin", local: Local, text: str) -> str:
    """The id of the member with this id or e-mail address. Raises Problem."""
    from gateway_proxy.core.ids import is_id

    if is_id(text, "mem"):
        return text
    return str((await admin.members.find_by_email(local.actor, text))["id"])


def _print_member(shown: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(shown)
        return
    labels = ("id", "email", "name", "role", "status", "organization")
    print_fields([(label, shown[label] or "-") for label in labels])


def _print_invited(invited: "Invited", as_json: bool) -> None:
    if as_json:
        print_json({"member": invited.member, "link": invited.link})
        return
    _print_member(invited.member, as_json)
    print(
        f"\nThis link sets the password, once. Pass it on over a safe way; it is not shown again:\n\n  {invited.link}"
    )
