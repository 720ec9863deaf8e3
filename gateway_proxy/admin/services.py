"""All admin services of one store, as the admin API and the dashboard take them."""

from dataclasses import dataclass

from gateway_proxy.admin.choices import ChoiceAdmin
from gateway_proxy.admin.gateway_view import GatewayView
from gateway_proxy.admin.key_use import KeyUseAdmin
from gateway_proxy.admin.keys import KeyAdmin
from gateway_proxy.core.clock import Clock
from gateway_proxy.keys.service import FindOwner, KeyService
from gateway_proxy.storage.store import Store


@dataclass(slots=True)
class Admin:
    """Built by `build_admin`; whoever builds it closes the store."""

    keys: KeyAdmin
    key_use: KeyUseAdmin
    choices: ChoiceAdmin


def build_admin(store: Store, pepper: bytes, clock: Clock, view: GatewayView | None = None) -> Admin:
    """The services over an open store. Without `view` the gateway counts as one that does not answer."""
    service = KeyService(store.keys, clock, pepper, owner_finder(store))
    keys = KeyAdmin(store, service, clock)
    return Admin(
        keys=keys,
        key_use=KeyUseAdmin(store, keys, clock, view),
        choices=ChoiceAdmin(store, view),
    )


def owner_finder(store: Store) -> FindOwner:
    """Looks an owner up: the member's id, "" where an owner needs none, None if there is no such member."""

    async def find_owner(organization: str, owner: str) -> str | None:
        member = await store.registry.find_member(organization, owner)
        if member is not None:
            return member.id
        # Before anybody has signed up there is nobody to tell a typing error by.
        known = owner == "local" or not await store.registry.list_members(organization)
        return "" if known else None

    return find_owner
