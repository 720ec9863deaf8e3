"""Keys as admins handle them: roles checked, owners resolved, key objects as the contract shows them."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gateway_proxy.admin.actor import Actor, Role
from gateway_proxy.admin.gateways import find_live_on, wait_until_live
from gateway_proxy.admin.problem import Conflict, Invalid, NotAllowed, NotFound, Problem, Stale, Unavailable
from gateway_proxy.admin.roles import is_manager, require_key_writer, require_manager, visible_owner
from gateway_proxy.core.clock import Clock
from gateway_proxy.core.ids import is_id
from gateway_proxy.core.key import Key, find_listed_status
from gateway_proxy.keys.draft import DraftError
from gateway_proxy.keys.fields import FieldError
from gateway_proxy.keys.service import Caller, Changed, KeyService, Revisions, ServiceError, token_object
from gateway_proxy.keys.view import KeyStats, LiveOn, key_object
from gateway_proxy.storage.key_search import KeyQuery
from gateway_proxy.storage.store import Store

__all__ = ["KeyAdmin", "KeyList", "KeyQuery", "KeySecret"]

_PROBLEMS: dict[str, type[Problem]] = {
    "not_found": NotFound, "conflict": Conflict, "precondition": Stale, "not_allowed": NotAllowed,
    "unavailable": Unavailable,
}  # fmt: skip
# A ULID: 10 characters of time, then randomness (https://github.com/ulid/spec).
_ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_ID_TIME_LENGTH = 10
Act = Callable[[Caller], Awaitable[Changed]]


@dataclass(frozen=True, slots=True)
class KeyList:
    """One page of key objects. `total` counts all pages."""

    keys: list[dict[str, Any]]
    next_cursor: str | None
    total: int


@dataclass(frozen=True, slots=True)
class KeySecret:
    """A key object and its new secret, this once."""

    key: dict[str, Any]
    secret: str = field(repr=False)


class KeyAdmin:
    """Every method raises Problem where the actor may not, or the document or id is wrong."""

    def __init__(self, store: Store, service: KeyService, clock: Clock) -> None:
        self._store = store
        self._service = service
        self._clock = clock

    async def search(self, actor: Actor, query: KeyQuery) -> KeyList:
        """What the actor may see of the query; its organization and, for members, its owner are overruled."""
        narrowed = replace(query, organization=actor.organization)
        own = visible_owner(actor)
        if own is not None:
            narrowed = replace(narrowed, owner=own)
        try:
            page = await self._store.keys.search(narrowed)
        except ValueError as error:
            raise Invalid([FieldError("cursor", str(error))]) from None
        keys = [key for key, _ in page.keys]
        total = await self._store.keys.count(narrowed)
        return KeyList(await self._describe(actor, keys), page.next_cursor, total)

    async def find(self, actor: Actor, key_id: str) -> dict[str, Any]:
        """The key object with where it is live."""
        key = await self._find(actor, key_id)
        return (await self._describe(actor, [key]))[0]

    async def create(self, actor: Actor, document: object, *, once: str = "") -> KeySecret:
        """A new key for the actor, or for the owner that the document names (owners and admins only).

        `once` is an id made by `new_id("key")`: a second creation by this actor with the same one raises Conflict
        with the code `already_created`, however much later.
        """
        key_id = None
        if once:
            key_id = _id_made_of(actor, once)
            if await self._last_change(key_id) is not None:
                raise Conflict("this form was sent before, and its key was created", code="already_created")
        named = document.get("owner") if isinstance(document, dict) else None
        owner = named if isinstance(named, str) and named else await self.default_owner(actor)
        require_key_writer(actor, owner)
        caller = Caller(actor.name, actor.organization, actor.ip)
        changed = await _refusing(
            self._service.create(document, caller, organization=actor.home, owner=owner, key_id=key_id)
        )
        return await self._with_secret(actor, changed)

    async def import_one(self, actor: Actor, document: object) -> KeySecret:
        """A new key under the id in the document, so that an import can be repeated; gateways are not waited for.

        Raises Conflict where there is such a key, or was.
        """
        require_manager(actor, "import keys")
        given = dict(document) if isinstance(document, dict) else {}
        key_id = given.pop("id", None)
        if not isinstance(key_id, str) or not is_id(key_id, "key"):
            raise Invalid([FieldError("id", "must be a key id, such as key_ and 26 letters and digits")])
        if await self._store.keys.find_deleted([key_id]):
            raise Conflict(f"key {key_id} was deleted")
        owner = given.get("owner") or await self.default_owner(actor)
        caller = Caller(actor.name, actor.organization, actor.ip)
        changed = await _refusing(
            self._service.create(given, caller, organization=actor.home, owner=str(owner), key_id=key_id)
        )
        assert changed.secret is not None
        return KeySecret((await self._describe(actor, [changed.key]))[0], changed.secret)

    async def update(
        self, actor: Actor, key_id: str, document: object, revisions: Revisions = None
    ) -> dict[str, Any]:
        """A merge patch; a new owner needs an owner or admin."""
        if isinstance(document, dict) and "owner" in document and not is_manager(actor):
            key = await self._find(actor, key_id)
            if document["owner"] != key.owner:
                raise NotAllowed("only an owner or admin may hand a key to another owner")
        return await self._change(
            actor, key_id, lambda caller: self._service.update(key_id, document, caller, revisions=revisions)
        )

    async def rotate(
        self, actor: Actor, key_id: str, document: object, revisions: Revisions = None
    ) -> KeySecret:
        """A new secret; the old one ends now or after `grace_seconds`."""
        await self._require_writer(actor, key_id)
        caller = Caller(actor.name, actor.organization, actor.ip)
        changed = await _refusing(self._service.rotate(key_id, document, caller, revisions=revisions))
        return await self._with_secret(actor, changed)

    async def mint(self, actor: Actor, key_id: str, document: object) -> dict[str, Any]:
        """An ephemeral token from a key: `{"id", "token", "expires_at", "parent_id"}`, the token this once."""
        await self._require_writer(actor, key_id)
        caller = Caller(actor.name, actor.organization, actor.ip)
        made = await _refusing(self._service.mint(key_id, document, caller))
        await self._wait(made)
        return token_object(made)

    async def deactivate(self, actor: Actor, key_id: str, revisions: Revisions = None) -> dict[str, Any]:
        return await self._change(
            actor, key_id, lambda caller: self._service.deactivate(key_id, caller, revisions=revisions)
        )

    async def activate(self, actor: Actor, key_id: str, revisions: Revisions = None) -> dict[str, Any]:
        return await self._change(
            actor, key_id, lambda caller: self._service.activate(key_id, caller, revisions=revisions)
        )

    async def revoke(self, actor: Actor, key_id: str, revisions: Revisions = None) -> dict[str, Any]:
        return await self._change(
            actor, key_id, lambda caller: self._service.revoke(key_id, caller, revisions=revisions)
        )

    async def delete(self, actor: Actor, key_id: str, revisions: Revisions = None) -> None:
        """Final; usage and history stay. Returns when the attached gateways have it, or after a second."""
        await self._require_writer(actor, key_id)
        caller = Caller(actor.name, actor.organization, actor.ip)
        changed = await _refusing(self._service.delete(key_id, caller, revisions=revisions))
        await self._wait(changed)

    async def _change(self, actor: Actor, key_id: str, act: Act) -> dict[str, Any]:
        await self._require_writer(actor, key_id)
        changed = await _refusing(act(Caller(actor.name, actor.organization, actor.ip)))
        return (await self._describe(actor, [changed.key], await self._wait(changed)))[0]

    async def _with_secret(self, actor: Actor, changed: Changed) -> KeySecret:
        shown = (await self._describe(actor, [changed.key], await self._wait(changed)))[0]
        assert changed.secret is not None
        return KeySecret(shown, changed.secret)

    async def _wait(self, changed: Changed) -> LiveOn:
        return await wait_until_live(
            self._store.registry, self._clock, changed.key.organization, changed.sequence
        )

    async def _require_writer(self, actor: Actor, key_id: str) -> None:
        require_key_writer(actor, (await self._find(actor, key_id)).owner)

    async def _find(self, actor: Actor, key_id: str) -> Key:
        key = await self._store.keys.find(key_id)
        own = visible_owner(actor)
        if key is None or actor.organization not in (None, key.organization) or own not in (None, key.owner):
            raise NotFound(f"there is no key {key_id}")
        return key

    async def default_owner(self, actor: Actor) -> str:
        """Whose key it is where the actor names nobody: theirs, else (a token of nobody) the organization's only owner, else `local`."""
        if actor.email:
            return actor.email
        members = await self._store.registry.list_members(actor.home)
        owners = [member.email for member in members if member.role == Role.OWNER]
        return owners[0] if len(owners) == 1 else "local"

    async def _last_change(self, key_id: str) -> int | None:
        changes = await self._store.keys.list_changes(key_id=key_id, limit=1)
        return changes[0].seq if changes else None

    async def _describe(
        self, actor: Actor, keys: Sequence[Key], live_on: LiveOn | None = None
    ) -> list[dict[str, Any]]:
        stats = await self._store.keys.stats([key.id for key in keys])
        total = await self._store.keys.total_requests(actor.organization, visible_owner(actor))
        now_ms = self._clock.now_ms()
        parents = {key.parent_id for key in keys if key.parent_id is not None}
        found = {key_id: await self._store.keys.find(key_id) for key_id in parents}
        live = {} if live_on else await find_live_on(self._store, self._clock, keys)
        shown = []
        for key in keys:
            used = stats[key.id]
            percent = round(100 * used.requests / total, 2) if total else 0.0
            view = KeyStats(used.requests, used.last_used_at, percent, used.spent_nanos, used.reserved_nanos)
            described = key_object(key, now_ms, view, live_on or live[key.id])
            if key.parent_id is not None:
                described["status"] = find_listed_status(key, found[key.parent_id], now_ms).value
            shown.append(described)
        return shown


def _id_made_of(actor: Actor, once: str) -> str:
    """The same id for the same word of the same actor; nobody can aim at the id of another key."""
    if not is_id(once, "key"):
        raise Problem("the form is not one that was handed out; open it again")
    head, _, tail = once.partition("_")
    bits = hashlib.sha256(f"{actor.home}\0{actor.name}\0{once}".encode()).digest()
    drawn = "".join(_ID_ALPHABET[byte & 31] for byte in bits[: len(tail) - _ID_TIME_LENGTH])
    return f"{head}_{tail[:_ID_TIME_LENGTH]}{drawn}"


async def _refusing(work: Awaitable[Changed]) -> Changed:
    """What drafts and services refuse, as problems."""
    try:
        return await work
    except DraftError as error:
        raise Invalid(error.errors) from None
    except ServiceError as error:
        raise _PROBLEMS[error.code](error.message) from None
