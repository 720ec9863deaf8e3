"""All admin services of one store, as the admin API and the dashboard take them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from gateway_proxy.admin.addresses import find_base_url, find_data_origin
from gateway_proxy.admin.audit import AuditAdmin
from gateway_proxy.admin.catalog import CatalogAdmin
from gateway_proxy.admin.choices import ChoiceAdmin
from gateway_proxy.admin.config_view import ConfigAdmin
from gateway_proxy.admin.explain import ExplainAdmin
from gateway_proxy.admin.gateway_view import GatewayView, NoGateway
from gateway_proxy.admin.gateways import GatewayAdmin
from gateway_proxy.admin.key_filter import KeyFilter
from gateway_proxy.admin.key_use import KeyUseAdmin
from gateway_proxy.admin.keys import KeyAdmin
from gateway_proxy.admin.links import Links
from gateway_proxy.admin.logs import LogAdmin
from gateway_proxy.admin.mcp import McpAdmin
from gateway_proxy.admin.mcp_log import McpLogAdmin
from gateway_proxy.admin.members import MemberAdmin
from gateway_proxy.admin.notifications import NotificationAdmin
from gateway_proxy.admin.organizations import OrganizationAdmin
from gateway_proxy.admin.overview import OverviewAdmin
from gateway_proxy.admin.passwords import Passwords
from gateway_proxy.admin.replays import ReplayGuard
from gateway_proxy.admin.sessions import Sessions
from gateway_proxy.admin.throttle import Throttle
from gateway_proxy.admin.tokens import TokenAdmin
from gateway_proxy.admin.usage import UsageAdmin
from gateway_proxy.config import Config
from gateway_proxy.core.clock import Clock
from gateway_proxy.keys.service import FindOwner, KeyService
from gateway_proxy.keys.signing import SigningFile
from gateway_proxy.storage.store import Store

if TYPE_CHECKING:
    from gateway_proxy.admin.oidc import OidcSignIn


@dataclass(slots=True)
class Admin:
    """Built by `build_admin`; whoever builds it closes the store."""

    keys: KeyAdmin
    key_use: KeyUseAdmin
    choices: ChoiceAdmin
    explain: ExplainAdmin
    members: MemberAdmin
    organizations: OrganizationAdmin
    tokens: TokenAdmin
    sessions: Sessions
    links: Links
    overview: OverviewAdmin
    gateways: GatewayAdmin
    catalog: CatalogAdmin
    mcp: McpAdmin
    config: ConfigAdmin
    usage: UsageAdmin
    logs: LogAdmin
    mcp_log: McpLogAdmin
    audit: AuditAdmin
    notifications: NotificationAdmin
    replays: ReplayGuard
    key_filter: KeyFilter
    find_data_origin: Callable[[str], str]  # of the data plane, for a page of this host; "" = the page's own
    data_path: str = ""  # where the data plane begins below its origin
    oidc: "OidcSignIn | None" = None


def build_admin(
    store: Store,
    pepper: bytes,
    clock: Clock,
    config: Config | None = None,
    *,
    passwords: Passwords | None = None,
    view: GatewayView | None = None,
    signing: SigningFile | None = None,
    dashboard_url: str | None = None,
    data_path: str | None = None,
) -> Admin:
    """The services over an open store. The settings say where links lead and who else may vouch for members.

    `view` is the gateway to ask, None where there is none. `signing` is that of the settings' data folder, if not given.
    In an application of somebody else's, which listens elsewhere than the settings say, `dashboard_url` is what links
    begin with, and `data_path` where the data plane is.
    """
    view = view or NoGateway()
    if signing is None and config is not None:
        signing = SigningFile(config.storage.data_dir)
    service = KeyService(store.keys, clock, pepper, owner_finder(store), signing)
    passwords, throttle = passwords or Passwords(), Throttle(clock)
    sessions = Sessions(store.identity, passwords, throttle, clock)
    if dashboard_url is None:
        dashboard_url = f"{find_base_url(config.server) if config else ''}/dashboard"
    links = Links(store.identity, passwords, sessions, clock, dashboard_url)
    listening = config.server if config and data_path is None else None
    members = MemberAdmin(store.identity, store.keys, service, links, passwords, throttle)
    keys, logs = KeyAdmin(store, service, clock), LogAdmin(store)
    return Admin(
        keys=keys,
        key_use=KeyUseAdmin(store, keys, logs, clock, view),
        choices=ChoiceAdmin(store, view),
        explain=ExplainAdmin(keys, view),
        members=members,
        organizations=OrganizationAdmin(store.registry, store.identity, members),
        tokens=TokenAdmin(store.identity, clock, pepper),
        sessions=sessions,
        links=links,
        overview=OverviewAdmin(store, clock),
        gateways=GatewayAdmin(store, clock),
        catalog=CatalogAdmin(view),
        mcp=McpAdmin(store.mcp_tools, view),
        config=ConfigAdmin(view),
        usage=UsageAdmin(store, clock),
        logs=logs,
        mcp_log=McpLogAdmin(store),
        audit=AuditAdmin(store, clock, pepper, config.storage.data_dir if config else None),
        notifications=NotificationAdmin(store, clock),
        key_filter=KeyFilter(store),
        replays=ReplayGuard(store.replays, clock, pepper),
        find_data_origin=partial(find_data_origin, listening),
        data_path=data_path or "",
        oidc=_build_oidc(store, pepper, clock, config, sessions, dashboard_url) if config else None,
    )


def _build_oidc(
    store: Store, pepper: bytes, clock: Clock, config: Config, sessions: Sessions, dashboard_url: str
) -> "OidcSignIn | None":
    """None where the settings name no OpenID provider."""
    settings = config.dashboard.oidc
    if not settings.issuer:
        return None
    # Here: the command line builds these services too, and would wait a second for a web client that it never uses.
    from gateway_proxy.admin.oidc import OidcSignIn
    from gateway_proxy.admin.oidc_provider import OidcProvider

    organization = config.gateway.organization
    return OidcSignIn(
        OidcProvider(settings.issuer, settings.client_id, settings.client_secret, clock),
        store.identity,
        sessions,
        clock,
        pepper=pepper,
        dashboard_url=dashboard_url,
        organization=None if organization == "*" else organization,
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
