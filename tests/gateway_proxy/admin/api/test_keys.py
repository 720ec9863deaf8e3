"""`/keys` over HTTP: the documented example as it stands, revisions, and models that match the key service."""

import json

import pytest

from gateway_proxy.admin.actor import Role
from gateway_proxy.admin.api.keys import KeyCreation, KeyPatch, KeyShown, McpPatch
from gateway_proxy.keys import draft
from gateway_proxy.keys.secret import looks_like_secret
from tests.support.admin import PEOPLE, actor_of

OWNER = actor_of(Role.OWNER)
EXAMPLE = json.loads(
    """
{"name":"Production API","owner":"ada@example.com","expires_in":"90d","requests_per_minute":600,"tokens_per_minute":200000,
 "burst":null,"max_parallel_requests":50,"budget_usd":"25.00","budget_period":"total","budget_timezone":"UTC",
 "alert_thresholds":[50,80,100],"allowed_providers":["openai"],"allowed_models":["gpt-4o","claude-3.5-*"],
 "allowed_endpoints":null,"ip_allowlist":["192.168.1.0/24","10.0.0.1"],"metadata":{"team":"backend"},"strict":false,
 "ephemeral":false,"mcp":{"enabled":true,"access_mode":"allow_list","servers":["github"],"tools":{"github":["search_issues"]}}}
"""
)


async def make(api, **members) -> str:
    return (await api.call("POST", "/keys", OWNER, {"name": "key"} | members))[1]["key"]["id"]


async def test_the_documented_example_works_as_it_stands(api) -> None:
    status, made, headers = await api.call("POST", "/keys", OWNER, EXAMPLE)
    assert (status, headers["ETag"]) == (201, '"1"')
    assert looks_like_secret(made["secret"])
    key = made["key"]
    sent_back = {m: v for m, v in EXAMPLE.items() if m not in ("expires_in", "ephemeral")}
    assert {member: key[member] for member in sent_back} == sent_back
    assert key["expires_at"] is not None
    assert key["live_on"] == {"gateways": 0, "acked": 0}
    status, shown, _ = await api.call("GET", f"/keys/{key['id']}", OWNER)
    assert (status, shown) == (200, key)
    assert made["secret"] not in json.dumps(shown)


def test_the_models_describe_what_the_service_takes() -> None:
    members = {*draft._FIELDS, *draft._REQUIRED, *draft._EXPIRY, "metadata", "mcp"}
    assert set(KeyPatch.model_fields) == members
    assert set(KeyCreation.model_fields) == members | set(draft._TOKEN)
    assert set(McpPatch.model_fields) == {*draft._MCP_FIELDS, "tools"}
    assert members - {"expires_in"} <= set(KeyShown.model_fields)


@pytest.mark.parametrize("tag", ["1", '"1"', "*", '"7", "1"', '"a,b" ,W/"9", "1"', "2,1"])
async def test_a_right_revision_passes(api, tag: str) -> None:
    key_id = await make(api)
    status, key, headers = await api.call(
        "PATCH", f"/keys/{key_id}", OWNER, {"name": "new"}, headers={"If-Match": tag}
    )
    assert (status, key["name"], headers["ETag"]) == (200, "new", '"2"')


@pytest.mark.parametrize(
    "tag",
    ["2", '"2"', 'W/"1"', '"2", "3"', '"2,1,3"', 'W/"1", "2"', '"2", *', "one", "", "-1", "9" * 30, "１"],
)
@pytest.mark.parametrize(
    ("method", "rest"), [("PATCH", ""), ("DELETE", ""), ("POST", "/rotate"), ("POST", "/revoke")]
)
async def test_another_one_changes_nothing(api, method: str, rest: str, tag: str) -> None:
    key_id = await make(api)
    status, problem, _ = await api.call(
        method, f"/keys/{key_id}{rest}", OWNER, {} if method != "PATCH" else {"name": "new"},
        headers={"If-Match": tag},
    )  # fmt: skip
    assert (status, problem["code"]) == (412, "revision_mismatch")
    assert (await api.call("GET", f"/keys/{key_id}", OWNER))[1]["revision"] == 1


async def test_a_merge_patch_clears_by_null(api) -> None:
    key_id = await make(api, requests_per_minute=5, metadata={"a": 1, "b": 2}, allowed_models=["m"])
    _, key, _ = await api.call(
        "PATCH", f"/keys/{key_id}", OWNER,
        data=b'{"requests_per_minute":null,"metadata":{"a":null},"allowed_models":[]}',
        headers={"Content-Type": "application/merge-patch+json"},
    )  # fmt: skip
    assert (key["requests_per_minute"], key["metadata"], key["allowed_models"]) == (None, {"b": 2}, [])


async def test_the_life_of_a_key(api) -> None:
    key_id = await make(api)
    for act, status in (("deactivate", "inactive"), ("revoke", "revoked"), ("activate", "active")):
        code, key, _ = await api.call("POST", f"/keys/{key_id}/{act}", OWNER)
        assert (code, key["status"]) == (200, status)
    code, turned, _ = await api.call("POST", f"/keys/{key_id}/rotate", OWNER, {"grace_seconds": 60})
    assert (code, looks_like_secret(turned["secret"])) == (201, True)
    assert (await api.call("DELETE", f"/keys/{key_id}", OWNER))[0] == 204
    assert (await api.call("GET", f"/keys/{key_id}", OWNER))[0] == 404
    assert (await api.call("DELETE", f"/keys/{key_id}", OWNER))[0] == 404


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "paths"),
    [
        ({"name": "a", "budget_usd": 25.0}, ["budget_usd"]),
        ({"name": "a", "zz": 1, "mcp": {"yy": 1}}, ["zz", "mcp.yy"]),
        ({}, ["name"]),
        ({"name": "a", "ip_allowlist": ["10.0.0.1/8"]}, ["ip_allowlist[0]"]),
        ({"name": "a", "ephemeral": True, "ttl_seconds": 0}, ["ttl_seconds"]),
        ({"name": "a", "ephemeral": 1, "ttl_seconds": 5}, ["ephemeral"]),
        ({"name": "a", "ttl_seconds": 5}, ["ttl_seconds"]),
        ([], [""]),
        ("x", [""]),
    ],
)
async def test_mistakes_have_their_paths(api, body: object, paths: list[str]) -> None:
    status, problem, _ = await api.call("POST", "/keys", OWNER, body)
    assert (status, [error["path"] for error in problem["errors"]]) == (422, paths)


async def test_lists_are_searched_sorted_and_paged(api) -> None:
    for name, owner in (("alpha", Role.OWNER), ("Beta", Role.ADMIN), ("100%", Role.MEMBER)):
        await make(api, name=name, owner=PEOPLE[owner])

    async def names(query: str) -> list[str]:
        return [key["name"] for key in (await api.call("GET", f"/keys?{query}", OWNER))[1]["data"]]

    assert await names("sort=name") == ["100%", "alpha", "Beta"]
    assert await names("sort=name&order=desc") == ["Beta", "alpha", "100%"]
    assert await names("search=%25") == ["100%"]
    assert await names(f"owner={PEOPLE[Role.ADMIN]}") == ["Beta"]
    assert await names("status=revoked") == []
    seen, cursor = [], ""
    while True:
        _, page, _ = await api.call("GET", f"/keys?sort=name&limit=1{cursor}", OWNER)
        seen += [key["name"] for key in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == ["100%", "alpha", "Beta"]


async def test_a_repeated_creation_is_the_same_answer_again(api) -> None:
    headers = {"Idempotency-Key": "intent-1"}
    status, first, heads = await api.call(
        "POST", "/keys", OWNER, {"name": "a", "strict": True}, headers=headers
    )
    assert (status, heads.get("idempotent-replayed")) == (201, None)
    status, again, heads = await api.call(
        "POST", "/keys", OWNER, {"strict": True, "name": "a"}, headers=headers
    )
    assert (status, again, heads["idempotent-replayed"], heads["ETag"]) == (201, first, "true", '"1"')
    assert len((await api.call("GET", "/keys", OWNER))[1]["data"]) == 1
    status, problem, _ = await api.call("POST", "/keys", OWNER, {"name": "b"}, headers=headers)
    assert (status, problem["errors"][0]["path"]) == (422, "Idempotency-Key")


async def test_a_repeated_rotation_turns_once(api) -> None:
    key_id, other = await make(api), await make(api)
    headers = {"Idempotency-Key": "intent-2"}
    _, first, _ = await api.call("POST", f"/keys/{key_id}/rotate", OWNER, headers=headers)
    status, again, _ = await api.call("POST", f"/keys/{key_id}/rotate", OWNER, {}, headers=headers)
    assert (status, again["secret"], again["key"]["revision"]) == (201, first["secret"], 2)
    status, _, _ = await api.call("POST", f"/keys/{other}/rotate", OWNER, headers=headers)
    assert status == 422


async def test_elsewhere_the_header_means_nothing(api) -> None:
    key_id = await make(api)
    for name in ("b", "c"):
        _, key, heads = await api.call(
            "PATCH", f"/keys/{key_id}", OWNER, {"name": name}, headers={"Idempotency-Key": "intent-3"}
        )
        assert (key["name"], "idempotent-replayed" in heads) == (name, False)


async def test_a_token_of_a_key(api) -> None:
    key_id = await make(api, allowed_models=["gpt-4o", "claude-*"])
    body = {"ttl_seconds": 60, "allowed_models": ["claude-3"], "budget_usd": "0.50", "requests_per_minute": 5}
    status, made, _ = await api.call("POST", f"/keys/{key_id}/ephemeral", OWNER, body)
    assert status == 201 and made.keys() == {"id", "token", "expires_at", "parent_id"}
    assert made["parent_id"] == key_id and made["token"].startswith("gwe_")
    _, shown, _ = await api.call("GET", f"/keys/{made['id']}", OWNER)
    assert (shown["kind"], shown["parent_id"], shown["expires_at"]) == (
        "ephemeral",
        key_id,
        made["expires_at"],
    )
    assert (shown["allowed_models"], shown["budget_usd"], shown["status"]) == (["claude-3"], "0.50", "active")
    assert (await api.call("POST", f"/keys/{key_id}/ephemeral", OWNER))[0] == 201  # no body is no narrowing
    status, problem, _ = await api.call("PATCH", f"/keys/{made['id']}", OWNER, {"requests_per_minute": 9})
    assert (status, problem["code"]) == (409, "conflict") and "cannot be changed" in problem["detail"]
    assert (await api.call("POST", f"/keys/{made['id']}/rotate", OWNER, {}))[0] == 409
    status, problem, _ = await api.call("POST", f"/keys/{made['id']}/ephemeral", OWNER, {})
    assert (status, problem["code"]) == (403, "forbidden") and "cannot make tokens" in problem["detail"]
    status, shown, _ = await api.call("POST", f"/keys/{made['id']}/revoke", OWNER)
    assert (status, shown["status"]) == (200, "revoked")
    assert (await api.call("POST", f"/keys/{made['id']}/activate", OWNER))[0] == 409
    assert (await api.call("DELETE", f"/keys/{made['id']}", OWNER))[0] == 204


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        ({"ttl_seconds": 86_401}, ["ttl_seconds"]),
        ({"owner": "eve@example.com", "expires_in": "1y"}, ["owner", "expires_in"]),
        ({"allowed_models": ["other"]}, ["allowed_models"]),
        ({"mcp": {"enabled": True}}, ["mcp"]),
        ([], [""]),
    ],
)
async def test_mistakes_in_a_token_have_their_paths(api, body: object, paths: list[str]) -> None:
    key_id = await make(api, allowed_models=["gpt-4o"])
    status, problem, _ = await api.call("POST", f"/keys/{key_id}/ephemeral", OWNER, body)
    assert (status, [error["path"] for error in problem["errors"]]) == (422, paths)


async def test_a_token_without_a_key(api) -> None:
    body = {"name": "a", "ephemeral": True, "ttl_seconds": 60, "budget_usd": "1"}
    status, made, _ = await api.call("POST", "/keys", OWNER, body)
    assert status == 201 and made["secret"].startswith("gwe_")
    assert (made["key"]["kind"], made["key"]["parent_id"], made["key"]["budget_usd"]) == (
        "ephemeral",
        None,
        "1.00",
    )
    assert made["key"]["preview"] == f"{made['secret'][:8]}…{made['secret'][-4:]}"


async def test_only_who_may_change_a_key_makes_its_tokens(api) -> None:
    key_id = await make(api)
    for who in (actor_of(Role.VIEWER), actor_of(Role.MEMBER)):
        assert (await api.call("POST", f"/keys/{key_id}/ephemeral", who, {}))[0] in (403, 404)


async def test_a_token_sleeps_and_ends_with_its_key(api) -> None:
    key_id = await make(api)
    token_id = (await api.call("POST", f"/keys/{key_id}/ephemeral", OWNER, {}))[1]["id"]
    for act, status in (
        ("deactivate", "inactive"),
        ("activate", "active"),
        ("revoke", "revoked"),
        ("activate", "revoked"),
    ):
        await api.call("POST", f"/keys/{key_id}/{act}", OWNER)
        assert (await api.call("GET", f"/keys/{token_id}", OWNER))[1]["status"] == status
    _, listed, _ = await api.call("GET", f"/keys?kind=ephemeral&parent_id={key_id}", OWNER)
    assert [(key["id"], key["status"]) for key in listed["data"]] == [(token_id, "revoked")]
    assert [key["id"] for key in (await api.call("GET", "/keys?kind=key", OWNER))[1]["data"]] == [key_id]
    assert (await api.call("GET", f"/keys?parent_id={token_id}", OWNER))[1]["data"] == []
