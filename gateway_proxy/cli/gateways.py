"""`gateways`: who is attached to the store, and whether they may serve."""

from pathlib import Path
from typing import Any

import click

from gateway_proxy.cli.local import config_option, json_option, open_local, run_async
from gateway_proxy.cli.lookup import find_gateway, list_all
from gateway_proxy.cli.output import print_json, print_table, short_time
from gateway_proxy.cli.refusal import Refusal
from gateway_proxy.cli.target import Target, open_api, target_options
from gateway_proxy.keys.service import Caller, ServiceError

_HEADER = ("NAME", "STATUS", "VERSION", "ORGANIZATION", "SETTINGS", "PROVIDERS", "LAST SEEN", "BEHIND", "ID")


@click.command("list")
@target_options
@json_option
def list_gateways(target: Target, as_json: bool) -> None:
    """List gateways by name."""

    async def work() -> list[dict[str, Any]]:
        async with open_api(target) as api:
            return await list_all(api, "/gateways")

    objects = run_async(work())
    if as_json:
        print_json({"data": objects, "next_cursor": None})
    elif not objects:
        print("No gateways.")
    else:
        rows = [
            (
                o["name"], o["status"], o["version"], o["organization"], _settings(o), _providers(o),
                short_time(o["last_seen_at"]), o["changes_behind"], o["id"],
            )
            for o in objects
        ]  # fmt: skip
        print_table(_HEADER, rows, right=frozenset((7,)))


def _settings(shown: dict[str, Any]) -> str:
    return f"{shown['config_digest'][:10]}{' differs' if shown['config_differs'] else ''}"


def _providers(shown: dict[str, Any]) -> str:
    """Those that are not up are marked."""
    named = [p["name"] if p["health"] == "up" else f"{p['name']} ({p['health']})" for p in shown["providers"]]
    return ", ".join(named) or "none"


@click.command()
@click.argument("gateway", metavar="ID|NAME")
@target_options
@json_option
def revoke(gateway: str, target: Target, as_json: bool) -> None:
    """Have a gateway refuse all traffic."""
    _act(gateway, target, as_json, "revoke", "Revoked")


@click.command()
@click.argument("gateway", metavar="ID|NAME")
@target_options
@json_option
def allow(gateway: str, target: Target, as_json: bool) -> None:
    """Undo a revocation."""
    _act(gateway, target, as_json, "allow", "Allowed")


@click.command()
@click.argument("gateway", metavar="ID|NAME")
@target_options
@json_option
def forget(gateway: str, target: Target, as_json: bool) -> None:
    """Drop a gateway's record; one that still runs comes back."""
    _act(gateway, target, as_json, "forget", "Forgot")


@click.command("rotate-signing-key")
@config_option
@click.option(
    "--now",
    "at_once",
    is_flag=True,
    help="End the tokens that the old pair signed at once: the answer to a leak.",
)
@json_option
def rotate_signing_key(config_path: Path | None, at_once: bool, as_json: bool) -> None:
    """Sign ephemeral tokens with a new pair. Tokens of the old one live on until they expire."""

    async def work() -> str:
        async with open_local(config_path) as local:
            service = await local.service()
            try:
                return await service.rotate_signing_key(Caller("cli", local.organization), at_once=at_once)
            except ServiceError as error:
                raise Refusal(error.message) from None

    kid = run_async(work())
    if as_json:
        print_json({"kid": kid, "at_once": at_once})
    else:
        print(f"Tokens are signed with the pair {kid} from now on.")


def _act(gateway: str, target: Target, as_json: bool, act: str, done: str) -> None:
    async def work() -> dict[str, Any]:
        async with open_api(target) as api:
            found = await find_gateway(api, gateway)
            return await api.send("POST", f"/gateways/{found['id']}/{act}") or found

    shown = run_async(work())
    if as_json:
        print_json(shown)
    else:
        print(f"{done} the gateway {shown['name']} ({shown['id']}).")
