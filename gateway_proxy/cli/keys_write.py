"""The commands that change one key: create, update, rotate, ephemeral, deactivate, activate, revoke, delete."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import click

from gateway_proxy.admin.problem import Invalid
from gateway_proxy.cli.key_text import live_sentence, print_secret, print_token
from gateway_proxy.cli.local import json_option, run_async
from gateway_proxy.cli.lookup import find_key
from gateway_proxy.cli.output import print_json
from gateway_proxy.cli.scope_flags import (
    ephemeral_option,
    narrowing_flags,
    read_flags,
    scope_flags,
    ttl_option,
    usage_error,
)
from gateway_proxy.cli.target import AdminApi, Target, open_api, target_options
from gateway_proxy.cli.unknown_names import warn_of_unknown_names
from gateway_proxy.core.clock import Clock
from gateway_proxy.core.key import Key
from gateway_proxy.keys.draft import DraftError, apply_creation, apply_patch
from gateway_proxy.keys.service import MAX_GRACE_SECONDS

_BLANK = Key(id="key_", name="blank", organization="default", owner="local")
Act = Callable[[AdminApi, str], Awaitable[dict[str, Any]]]


@click.command()
@target_options
@json_option
@ephemeral_option
@ttl_option
@scope_flags(clearing=False)
def create(target: Target, as_json: bool, **given: Any) -> None:
    """Create a key and print its secret, once. What is not limited by a flag is not limited."""
    draft = read_flags(given)
    if "name" not in draft:
        raise click.UsageError("--name: is required")
    _judge(apply_creation, draft)

    async def work() -> Any:
        async with open_api(target, create=True) as api:
            return await api.send("POST", "/keys", draft)

    made = _run(work())
    print_secret(made["key"], made["secret"], "Created", as_json)
    warn_of_unknown_names(target, draft)


@click.command()
@click.argument("key", metavar="ID|NAME")
@target_options
@json_option
@click.option(
    "--revision", type=click.IntRange(min=1), metavar="N", help="Only if the key is at this revision."
)
@scope_flags(clearing=True)
def update(key: str, target: Target, as_json: bool, revision: int | None, **given: Any) -> None:
    """Change what the flags name and leave the rest; `--no-X` clears X."""
    draft = read_flags(given)
    if not draft:
        raise click.UsageError("nothing to change; name at least one flag")
    _judge(apply_patch, draft)

    async def act(api: AdminApi, path: str) -> dict[str, Any]:
        shown: dict[str, Any] = await api.send("PATCH", path, draft, revision=revision)
        return shown

    _change_one(key, target, as_json, "Updated", act)
    warn_of_unknown_names(target, draft)


@click.command()
@click.argument("key", metavar="ID|NAME")
@click.option(
    "--grace",
    type=click.IntRange(0, MAX_GRACE_SECONDS),
    default=0,
    metavar="S",
    help="Seconds that the old secret stays valid; default 0: it ends at once.",
)
@target_options
@json_option
def rotate(key: str, grace: int, target: Target, as_json: bool) -> None:
    """Give the key a new secret and print it, once. Limits, spend and id stay."""

    async def work() -> Any:
        async with open_api(target) as api:
            found = await find_key(api, key)
            return await api.send("POST", f"/keys/{found['id']}/rotate", {"grace_seconds": grace})

    made = _run(work())
    print_secret(made["key"], made["secret"], "Rotated", as_json)


@click.command()
@click.argument("key", metavar="ID|NAME")
@target_options
@json_option
@narrowing_flags
def ephemeral(key: str, target: Target, as_json: bool, **given: Any) -> None:
    """Make a short-lived token from the key and print it, once. Lists narrow the key's; both pay."""
    draft = read_flags(given)

    async def work() -> tuple[dict[str, Any], dict[str, Any]]:
        async with open_api(target) as api:
            found = await find_key(api, key)
            return found, await api.send("POST", f"/keys/{found['id']}/ephemeral", draft)

    parent, made = _run(work())
    print_token(parent, made, as_json)


@click.command()
@click.argument("key", metavar="ID|NAME")
@target_options
@json_option
def deactivate(key: str, target: Target, as_json: bool) -> None:
    """Pause the key: running requests finish, new ones are refused."""
    _change_one(key, target, as_json, "Deactivated", _post("deactivate"))


@click.command()
@click.argument("key", metavar="ID|NAME")
@target_options
@json_option
def activate(key: str, target: Target, as_json: bool) -> None:
    """End a pause or a revocation. An expired key needs `keys update --expires` first."""
    _change_one(key, target, as_json, "Activated", _post("activate"))


@click.command()
@click.argument("key", metavar="ID|NAME")
@target_options
@json_option
def revoke(key: str, target: Target, as_json: bool) -> None:
    """Stop the key at once, running requests included: the answer to a leak."""
    _change_one(key, target, as_json, "Revoked", _post("revoke"))


@click.command()
@click.argument("key", metavar="ID|NAME")
@target_options
@json_option
def delete(key: str, target: Target, as_json: bool) -> None:
    """Delete the key for good. Its usage and its history stay."""

    async def work() -> dict[str, Any]:
        async with open_api(target) as api:
            found = await find_key(api, key)
            await api.send("DELETE", f"/keys/{found['id']}")
            return found

    gone = _run(work())
    if as_json:
        print_json({"id": gone["id"], "deleted": True})
    else:
        print(f"Deleted key {gone['name']} ({gone['id']}).")


def _post(act: str) -> Act:
    async def post(api: AdminApi, path: str) -> dict[str, Any]:
        shown: dict[str, Any] = await api.send("POST", f"{path}/{act}")
        return shown

    return post


def _change_one(key: str, target: Target, as_json: bool, done: str, act: Act) -> None:
    async def work() -> tuple[dict[str, Any], dict[str, Any]]:
        async with open_api(target) as api:
            found = await find_key(api, key)
            return found, await act(api, f"/keys/{found['id']}")

    before, shown = _run(work())
    if as_json:
        print_json(shown)
    elif shown["revision"] == before["revision"]:
        print(f"Key {shown['name']} ({shown['id']}) is like that already; nothing was changed.")
    else:
        print(f"{done} key {shown['name']} ({shown['id']}). {live_sentence(shown)}")


def _judge(apply: Callable[[Key, object, int], Key], draft: dict[str, Any]) -> None:
    """Find the mistakes in the flags before anything is opened."""
    try:
        apply(_BLANK, draft, Clock().now_ms())
    except DraftError as error:
        raise usage_error(error.errors) from None


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    async def judged() -> Any:
        try:
            return await work
        except Invalid as problem:
            raise usage_error(problem.errors) from None

    return run_async(judged())
