"""All admin services of one store, as the admin API and the dashboard take them."""

from dataclasses import dataclass

from gateway_proxy.admin.keys import KeyAdmin
from gateway_proxy.admin.overview import OverviewAdmin
from gateway_proxy.core.clock import Clock
from gateway_proxy.keys.service import FindOwner, KeyService
from gateway_proxy.storage.store import Store


@dataclass(slots=True)
class Admin:
    """Built by `build_admin`; whoever builds it closes the store."""

    keys: KeyAdmin
    overview: OverviewAdmin


def build_admin(store: Store, pepper: bytes, clock: Clock) -> Admin:
    """The services over an open store."""
    service = KeyService(store.keys, clock, pepper, owner_finder(store))
    return Admin(keys=KeyAdmin(store, service, clock), overview=OverviewAdmin(store, clock))


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
