"""Who may do what over the admin API: every operation, by every role, with every kind of credential, on own and foreign
objects. The table below is the whole policy; an operation that is missing in it fails the test."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway_proxy.admin import notifications
from gateway_proxy.admin.actor import Actor, Role
from gateway_proxy.admin.api.operation import Operation
from gateway_proxy.admin.api.table import OPERATIONS
from gateway_proxy.core.clock import Clock
from gateway_proxy.core.ids import new_id
from gateway_proxy.core.ledger import LogRow
from gateway_proxy.core.store import Batch
from gateway_proxy.storage import Store
from gateway_proxy.storage.registry import Gateway
from tests.support.admin import FOREIGN, HOME, PEOPLE, Api, FakeView, actor_of, open_admin, serve_api
from tests.support.mcp_facts import NEW, changed_tool, server_facts

DONE = 0  # the operation's own status
Row = dict[Role, int]


def row(owner: int, admin: int, member: int, viewer: int) -> Row:
    return dict(zip(Role, (owner, admin, member, viewer), strict=True))


ANYBODY, MANAGERS, READERS = row(0, 0, 0, 0), row(0, 0, 403, 403), row(0, 0, 403, 0)
KEY_WRITERS, LOST = row(0, 0, 0, 403), row(404, 404, 404, 404)
HIDDEN_FROM_MEMBERS, WRITTEN_BY_MANAGERS = row(0, 0, 404, 0), row(0, 0, 404, 403)
LOST_OR_UNSEEN, LOST_OR_FORBIDDEN = row(404, 404, 403, 404), row(404, 404, 403, 403)

# Operation → by role: on the organization's own object (their own one, for members), on one of somebody else in it,
# on one of another organization. None: there is no such object.
POLICY: dict[str, tuple[Row, Row | None, Row | None]] = {
    "listKeys": (ANYBODY, None, None),
    "createKey": (KEY_WRITERS, MANAGERS, None),
    "getKey": (ANYBODY, HIDDEN_FROM_MEMBERS, LOST),
    "updateKey": (KEY_WRITERS, WRITTEN_BY_MANAGERS, LOST),
    "deleteKey": (KEY_WRITERS, WRITTEN_BY_MANAGERS, LOST),
    "rotateKey": (KEY_WRITERS, WRITTEN_BY_MANAGERS, LOST),
    "mintToken": (KEY_WRITERS, WRITTEN_BY_MANAGERS, LOST),
    "deactivateKey": (KEY_WRITERS, WRITTEN_BY_MANAGERS, LOST),
    "activateKey": (KEY_WRITERS, WRITTEN_BY_MANAGERS, LOST),
    "revokeKey": (KEY_WRITERS, WRITTEN_BY_MANAGERS, LOST),
    "explainKey": (ANYBODY, HIDDEN_FROM_MEMBERS, LOST),
    "listMembers": (ANYBODY, None, None),
    "inviteMember": (MANAGERS, None, None),
    "getMember": (HIDDEN_FROM_MEMBERS, None, LOST),
    "updateMember": (WRITTEN_BY_MANAGERS, None, LOST),
    "removeMember": (row(0, 0, 403, 403), None, row(404, 404, 403, 403)),
    "makeMemberLink": (row(0, 0, 403, 403), None, row(404, 404, 403, 403)),
    "listOrganizations": (ANYBODY, None, None),
    "addOrganization": (row(0, 403, 403, 403), None, None),
    "getOrganization": (ANYBODY, None, row(0, 404, 404, 404)),
    "listTokens": (ANYBODY, None, None),
    "createToken": (MANAGERS, None, None),
    "getToken": (row(0, 0, 404, 404), None, LOST),
    "revokeToken": (row(0, 0, 404, 404), None, LOST),
    "listGateways": (READERS, None, None),
    "getGateway": (READERS, None, LOST_OR_UNSEEN),
    "revokeGateway": (MANAGERS, None, LOST),
    "allowGateway": (MANAGERS, None, LOST),
    "forgetGateway": (MANAGERS, None, LOST),
    "listModels": (ANYBODY, None, None),
    "listProviders": (ANYBODY, None, None),
    "listMcpServers": (ANYBODY, None, None),
    "getMcpServer": (ANYBODY, None, None),
    "approveMcpTool": (MANAGERS, None, None),
    "getConfig": (READERS, None, None),
    "listLogs": (ANYBODY, None, None),
    "getLog": (ANYBODY, HIDDEN_FROM_MEMBERS, LOST),
    "listMcpLogs": (ANYBODY, None, None),
    "reportUsage": (ANYBODY, None, None),
    "listAudit": (READERS, None, None),
    "listAuditChains": (READERS, None, None),
    "listEndpoints": (READERS, None, None),
    "testEndpoint": (MANAGERS, None, LOST_OR_FORBIDDEN),
    "enableEndpoint": (MANAGERS, None, LOST_OR_FORBIDDEN),
    "listDeliveries": (READERS, None, None),
    "redeliver": (MANAGERS, None, LOST_OR_FORBIDDEN),
    "getMe": (ANYBODY, None, None),
    "importKey": (MANAGERS, None, None),
}
OWN, OTHER, ALIEN = range(3)
OTHER_EMAIL = "other@example.com"


class Objects:
    """Makes a fresh object for each call."""

    def __init__(self, admin: Any, store: Store) -> None:
        self._admin = admin
        self._store = store
        self._makers: dict[str, Callable[[Actor, str], Awaitable[str]]] = {
            "key_id": self._key, "member_id": self._member, "organization_id": self._organization,
            "token_id": self._token, "gateway_id": self._gateway, "request_id": self._request,
            "endpoint_id": self._endpoint, "delivery_id": self._delivery, "server": self._server,
        }  # fmt: skip

    async def make(self, kind: str, actor: Actor, whose: int) -> str:
        """The id of one that is the actor's own, somebody else's, or another organization's."""
        organization = FOREIGN if whose == ALIEN else HOME
        owner = OTHER_EMAIL if whose == OTHER else actor.email
        return await self._makers[kind](replace(actor_of(Role.OWNER, organization), email=owner), owner)

    async def _key(self, maker: Actor, owner: str) -> str:
        return (await self._admin.keys.create(maker, {"name": "a", "owner": owner})).key["id"]

    async def _member(self, maker: Actor, owner: str) -> str:
        document = {"email": f"{new_id('mem')}@example.com", "role": "viewer"}
        return (await self._admin.members.add(maker, document)).member["id"]

    async def _organization(self, maker: Actor, owner: str) -> str:
        return (await self._store.registry.ensure_organization(maker.home)).id

    async def _token(self, maker: Actor, owner: str) -> str:
        made = await self._admin.tokens.create(
            replace(maker, email=""), {"role": "admin", "expires_in": "30d"}
        )
        return made.token["id"]

    async def _gateway(self, maker: Actor, owner: str) -> str:
        gateway = Gateway(
            new_id("gtw"), "edge", maker.home, "1", 0, 0, 0, ""
        )  # long silent: nobody waits for it
        return (await self._store.registry.heartbeat(gateway)).id

    async def _request(self, maker: Actor, owner: str) -> str:
        log = LogRow(request_id=new_id("req"), at=1, gateway_id="gtw_1", organization=maker.home, owner=owner)
        await self._store.ledger.append("gtw_1", Batch(logs=[log]))
        return log.request_id

    async def _endpoint(self, maker: Actor, owner: str) -> str:
        id_ = f"hook-{new_id('evt')}"
        await self._store.deliveries.publish(maker.home, [(id_, "webhook", "https://one/", ("*",))])
        return id_

    async def _server(self, maker: Actor, owner: str) -> str:
        self._admin.mcp._view.mcp["github"] = server_facts("github", changed_tool("create"))
        return "github"

    async def _delivery(self, maker: Actor, owner: str) -> str:
        endpoint = await self._endpoint(maker, owner)
        return (await self._admin.notifications.send_test(maker, endpoint))["id"]


def body_of(operation: Operation, whose: int) -> Any:
    """A body that is right for everybody."""
    match operation.name:
        case "createKey":
            return {"name": "a"} | ({"owner": OTHER_EMAIL} if whose == OTHER else {})
        case "importKey":
            return {"id": new_id("key"), "name": "a"}
        case "updateKey":
            return {"name": "b"}
        case "explainKey":
            return {"model": "m"}
        case "inviteMember":
            return {"email": f"{new_id('mem')}@example.com", "role": "viewer"}
        case "updateMember":
            return {"name": "B"}
        case "addOrganization":
            return {"name": new_id("org")}
        case "approveMcpTool":
            return {"tool": "create", "fingerprint": NEW}
        case "createToken":
            return {"role": "admin", "expires_in": "30d"}
    return None


async def attempt(api: Api, objects: Objects, operation: Operation, actor: Actor | None, whose: int) -> int:
    maker = actor or actor_of(Role.OWNER)
    path = operation.path
    for name in operation.parameters:
        path = path.replace(f"{{{name}}}", await objects.make(name, maker, whose))
    status, _, _ = await api.call(operation.method, path, actor, body_of(operation, whose))
    return status


def test_the_table_is_complete() -> None:
    assert set(POLICY) == {operation.name for operation in OPERATIONS}


@pytest.mark.parametrize("tag", sorted({operation.tag for operation in OPERATIONS}))
async def test_everybody_may_what_the_table_says_and_no_more(
    tmp_path: Path, tag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "TEST_WAIT_SECONDS", 0.0)  # no gateway sends anything here
    wrong = []
    async with open_admin(tmp_path, Clock(), FakeView()) as (admin, store), serve_api(admin) as api:
        await store.registry.add_member(HOME, OTHER_EMAIL, role="viewer")
        objects = Objects(admin, store)
        for operation in (operation for operation in OPERATIONS if operation.tag == tag):
            if await attempt(api, objects, operation, None, OWN) != 401:
                wrong.append(f"{operation.name} signed out")
            for whose, expected in enumerate(POLICY[operation.name]):
                for role in Role if expected else ():
                    for via in ("session", "token"):
                        status = await attempt(api, objects, operation, actor_of(role, via=via), whose)
                        right = expected[role] or operation.status
                        if status != right:
                            wrong.append(f"{operation.name} {role} {via} {whose}: {status}, not {right}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("role", list(Role))
async def test_lists_hold_nothing_foreign(tmp_path: Path, role: Role) -> None:
    async with open_admin(tmp_path, Clock(), FakeView()) as (admin, store), serve_api(admin) as api:
        await store.registry.add_member(HOME, OTHER_EMAIL, role="viewer")
        objects, actor = Objects(admin, store), actor_of(role)
        made: dict[str, list[str]] = {}
        for kind in ("key_id", "member_id", "token_id", "gateway_id", "request_id"):
            made[kind] = [await objects.make(kind, actor, whose) for whose in (OWN, OTHER, ALIEN)]
        for path, kind, member in (
            ("/keys", "key_id", "id"), ("/members", "member_id", "id"), ("/tokens", "token_id", "id"),
            ("/gateways", "gateway_id", "id"), ("/logs", "request_id", "request_id"),
        ):  # fmt: skip
            status, page, _ = await api.call("GET", path, actor)
            seen = {item[member] for item in page["data"]} if status == 200 else set()
            own, other, alien = made[kind]
            assert alien not in seen
            if role is Role.MEMBER:
                assert other not in seen
            if kind in ("key_id", "request_id"):
                assert own in seen
        emails = [m["email"] for m in (await api.call("GET", "/members", actor))[1]["data"]]
        assert len(emails) == len(set(emails))
        assert set(PEOPLE.values()) <= set(emails) or role is Role.MEMBER
