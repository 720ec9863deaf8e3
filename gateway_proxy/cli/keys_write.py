"""The commands that change one key: create, update, rotate, deactivate, activate, revoke, delete."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click

from gateway_proxy.cli.key_text import describe_change, live_sentence, print_secret
from gateway_proxy.cli.local import config_option, json_option, open_local, run_async
from gateway_proxy.cli.output import print_json
from gateway_proxy.cli.scope_flags import read_flags, scope_flags, usage_error
from gateway_proxy.core.clock import Clock
from gateway_proxy.core.key import Key
from gateway_proxy.keys.draft import DraftError, apply_creation, apply_patch
from gateway_proxy.keys.service import MAX_GRACE_SECONDS, Caller, Changed, KeyService

CALLER = "cli"
_BLANK = Key(id="key_", name="blank", organization="default", owner="local")
Act = Callable[[KeyService, str, Caller], Awaitable[Changed]]


@click.command()
@config_option
@json_option
@scope_flags(clearing=False)
def create(config_path: Path | None, as_json: bool, **given: Any) -> None:
    """Create a key and print its secret, once. What is not limited by a flag is not limited."""
    draft = read_flags(given)
    if "name" not in draft:
        raise click.UsageError("--name: is required")
    _judge(apply_creation, draft)

    async def work() -> tuple[dict[str, Any], str]:
        async with open_local(config_path, create=True) as local:
            organization = local.organization or "default"
            service = await local.service()
            owner = await local.default_owner(organization)
            caller = Caller(CALLER, local.organization)
            changed = await service.create(draft, caller, organization=organization, owner=owner)
            return await describe_change(local, changed), changed.secret or ""

    shown, secret = _run(work)
    print_secret(shown, secret, "Created", as_json)


@click.command()
@click.argument("key", metavar="ID|NAME")
@config_option
@json_option
@click.option(
    "--revision", type=click.IntRange(min=1), metavar="N", help="Only if the key is at this revision."
)
@scope_flags(clearing=True)
def update(key: str, config_path: Path | None, as_json: bool, revision: int | None, **given: Any) -> None:
    """Change what the flags name and leave the rest; `--no-X` clears X."""
    draft = read_flags(given)
    if not draft:
        raise click.UsageError("nothing to change; name at least one flag")
    _judge(apply_patch, draft)
    _change_one(
        key, config_path, as_json, "Updated",
        lambda service, key_id, caller: service.update(key_id, draft, caller, revision=revision),
    )  # fmt: skip


@click.command()
@click.argument("key", metavar="ID|NAME")
@click.option(
    "--grace",
    type=click.IntRange(0, MAX_GRACE_SECONDS),
    default=0,
    metavar="S",
    help="Seconds that the old secret stays valid; default 0: it ends at once.",
)
@config_option
@json_option
def rotate(key: str, grace: int, config_path: Path | None, as_json: bool) -> None:
    """Give the key a new secret and print it, once. Limits, spend and id stay."""
    _change_one(
        key, config_path, as_json, "Rotated",
        lambda service, key_id, caller: service.rotate(key_id, {"grace_seconds": grace}, caller),
    )  # fmt: skip


@click.command()
@click.argument("key", metavar="ID|NAME")
@config_option
@json_option
def deactivate(key: str, config_path: Path | None, as_json: bool) -> None:
    """Pause the key: running requests finish, new ones are refused."""
    _change_one(key, config_path, as_json, "Deactivated", KeyService.deactivate)


@click.command()
@click.argument("key", metavar="ID|NAME")
@config_option
@json_option
def activate(key: str, config_path: Path | None, as_json: bool) -> None:
    """End a pause or a revocation. An expired key needs `keys update --expires` first."""
    _change_one(key, config_path, as_json, "Activated", KeyService.activate)


@click.command()
@click.argument("key", metavar="ID|NAME")
@config_option
@json_option
def revoke(key: str, config_path: Path | None, as_json: bool) -> None:
    """Stop the key at once, running requests included: the answer to a leak."""
    _change_one(key, config_path, as_json, "Revoked", KeyService.revoke)


@click.command()
@click.argument("key", metavar="ID|NAME")
@config_option
@json_option
def delete(key: str, config_path: Path | None, as_json: bool) -> None:
    """Delete the key for good. Its usage and its history stay."""
    _change_one(key, config_path, as_json, "Deleted", KeyService.delete)


def _change_one(key: str, config_path: Path | None, as_json: bool, done: str, act: Act) -> None:
    async def work() -> tuple[dict[str, Any], Changed]:
        async with open_local(config_path) as local:
            found = await local.find_key(key)
            changed = await act(await local.service(), found.id, Caller(CALLER, local.organization))
            return await describe_change(local, changed), changed

    shown, changed = _run(work)
    if changed.secret is not None:
        print_secret(shown, changed.secret, done, as_json)
    elif as_json and done == "Deleted":
        print_json({"id": shown["id"], "deleted": True, "live_on": shown["live_on"]})
    elif as_json:
        print_json(shown)
    elif changed.sequence is None:
        print(f"Key {shown['name']} ({shown['id']}) is like that already; nothing was changed.")
    else:
        print(f"{done} key {shown['name']} ({shown['id']}). {live_sentence(shown)}")


def _judge(apply: Callable[[Key, object, int], Key], draft: dict[str, Any]) -> None:
    """Find the mistakes in the flags before anything is opened."""
    try:
        apply(_BLANK, draft, Clock().now_ms())
    except DraftError as error:
        raise usage_error(error) from None


def _run(work: Callable[[], Any]) -> Any:
    try:
        return run_async(work())
    except DraftError as error:
        raise usage_error(error) from None
