"""All admin services of one store, as the admin API and the dashboard take them."""

from dataclasses import dataclass

from gateway_proxy.admin.catalog import CatalogAdmin
from gateway_proxy.admin.config_view import ConfigAdmin
from gateway_proxy.admin.gateway_view import GatewayView, NoGateway
from gateway_proxy.admin.gateways import GatewayAdmin
from gateway_proxy.admin.keys import KeyAdmin
from gateway_proxy.admin.logs import LogAdmin
from gateway_proxy.admin.usage import UsageAdmin
from gateway_proxy.core.clock import Clock
from gateway_proxy.keys.service import FindOwner, KeyService
from gateway_proxy.storage.store import Store


@dataclass(slots=True)
class Admin:
    """Built by `build_admin`; whoever builds it closes the store."""

    keys: KeyAdmin
    gateways: GatewayAdmin
    catalog: CatalogAdmin
    config: ConfigAdmin
    usage: UsageAdmin
    logs: LogAdmin


def build_admin(store: Store, pepper: bytes, clock: Clock, view: GatewayView | None = None) -> Admin:
    """The services over an open store; `view` is the gateway to ask, None where there is none."""
    view = view or NoGateway()
    service = KeyService(store.keys, clock, pepper, owner_finder(store))
    return Admin(
        keys=KeyAdmin(store, service, clock),
        gateways=GatewayAdmin(store, clock),
        catalog=CatalogAdmin(view),
        config=ConfigAdmin(view),
        usage=UsageAdmin(store, clock),
        logs=LogAdmin(store),
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
