"""Ways into the admin side of a gateway's store, for tests: an admin token, and a member who is signed in."""

import os
from pathlib import Path

from gateway_proxy.admin.actor import Actor, Role
from gateway_proxy.admin.services import Admin, build_admin
from gateway_proxy.cli.local import Local, open_local
from gateway_proxy.core.clock import Clock
from gateway_proxy.keys.pepper import ready_pepper

__all__ = ["make_session", "make_token"]


async def make_token(config_path: Path, role: str, organization: str) -> str:
    """The secret of a new admin token of the organization."""
    async with open_local(config_path) as local:
        admin = await _build(local)
        actor = Actor(name="tests", role=Role.OWNER, organization=organization, via="cli")
        made = await admin.tokens.create(actor, {"name": "tests", "role": role, "expires_in": "30d"})
        return made.secret


async def make_session(config_path: Path, email: str, role: str, organization: str) -> str:
    """The cookie of a new session of this member, who is made if need be."""
    async with open_local(config_path) as local:
        admin = await _build(local)
        accounts = await local.store.identity.find_accounts(email)
        found = next((account for account in accounts if account.organization == organization), None)
        async with local.store.identity.change() as change:
            if found is None:
                await change.ensure_organization(organization)
                found = await change.add_member(organization, email, email.partition("@")[0], role)
            return (await admin.sessions.open(change, found, "127.0.0.1", "tests", "tests"))[1]


async def _build(local: Local) -> Admin:
    store = local.store
    pepper = await ready_pepper(local.config.security.pepper, os.environ, store.registry, store.keys)
    return build_admin(store, pepper, Clock(), local.config)
