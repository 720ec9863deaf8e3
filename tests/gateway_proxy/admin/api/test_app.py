"""The HTTP side: who is let in, what is refused before it is read, and answers that are problems throughout."""

import asyncio
import json

import pytest

from gateway_proxy.admin.actor import Role
from gateway_proxy.admin.api.body import MAX_BODY_BYTES
from tests.support.admin import actor_of, as_actor

OWNER = actor_of(Role.OWNER)


async def test_the_description_is_for_everybody(api) -> None:
    status, document, _ = await api.call("GET", "/openapi.json", None)
    assert (status, document["openapi"]) == (200, "3.1.0")


async def test_nobody_is_asked_to_sign_in_before_anything_is_read(api) -> None:
    for method, path in (("GET", "/keys"), ("POST", "/keys"), ("DELETE", "/keys/x"), ("GET", "/keys?zz=1")):
        status, problem, headers = await api.call(method, path, None, data=b"{" if method == "POST" else None)
        assert (status, problem["code"]) == (401, "unauthenticated")
        assert headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("path", ["", "/", "/nope", "/keys/", "/keys/a/b/c", "/v1/keys", "/keys/../x"])
async def test_what_is_no_route_is_404(api, path: str) -> None:
    assert (await api.call("GET", path, OWNER))[0] == 404


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/keys", "GET, HEAD, POST"),
        ("DELETE", "/keys", "GET, HEAD, POST"),
        ("GET", "/keys/key_0/rotate", "POST"),
        ("POST", "/usage", "GET, HEAD"),
        ("OPTIONS", "/config", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_says_which_are_right(api, method: str, path: str, allowed: str) -> None:
    status, problem, headers = await api.call(method, path, OWNER)
    assert (status, problem["code"], headers["Allow"]) == (405, "method_not_allowed", allowed)


async def test_head_is_get_without_the_body(api) -> None:
    async with api.client.head("/api/v1/keys", headers=as_actor(OWNER)) as answer:
        assert (answer.status, await answer.read()) == (200, b"")
        assert int(answer.headers["Content-Length"]) > 10


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "invalid_json"),
        (b"[" * 200 + b"]" * 200, "application/json", 400, "too_deep"),
        (b'{"name":"a","name":"b"}', "application/json", 422, "invalid"),
        (b'{"name":"a"}', "text/plain", 415, "unsupported_media_type"),
        (b'{"name":"a"}', "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b'{"name":"a"}', "application/json; charset=utf-16", 415, "unsupported_media_type"),
        (b'{"name":"a"}', "", 415, "unsupported_media_type"),
        (b"", "application/json", 422, "invalid"),
    ],
)
async def test_bodies_that_are_none(api, body: bytes, content_type: str, status: int, code: str) -> None:
    told, problem, _ = await api.call(
        "POST", "/keys", OWNER, data=body, headers={"Content-Type": content_type}
    )
    assert (told, problem["code"]) == (status, code)


async def test_an_encoded_body_is_refused(api) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    status, problem, _ = await api.call("POST", "/keys", OWNER, data=b"\x1f\x8b", headers=headers)
    assert (status, problem["code"]) == (415, "unsupported_encoding")


async def test_a_large_body_is_refused_by_its_length_and_by_its_bytes(api) -> None:
    async def endless():
        for _ in range(MAX_BODY_BYTES // 65_536 + 1):
            yield b" " * 65_536

    headers = {"Content-Type": "application/json"}
    status, problem, _ = await api.call("POST", "/keys", OWNER, data=endless(), headers=headers)
    assert (status, problem["code"]) == (413, "body_too_large")
    reader, writer = await asyncio.open_connection("127.0.0.1", api.client.port)
    lines = [
        "POST /api/v1/keys HTTP/1.1",
        "Host: x",
        "Content-Type: application/json",
        f"Content-Length: {2**40}",
    ]
    lines += [f"{name}: {value}" for name, value in as_actor(OWNER).items()]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    assert b" 413 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


HOSTILE = [
    "\x00",
    "a\r\nb",
    "\u202e",
    "\ud7ff",
    "😀" * 50,
    "' OR 1=1 --",
    "%",
    "_",
    "\\",
    "<script>",
    "../../x",
    "ſ",
    "\x7f",
]


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_texts_are_data(api, text: str) -> None:
    for query in ({"search": text}, {"owner": text}, {"cursor": text}, {text: "1"}):
        status, _, _ = await api.call("GET", "/keys", OWNER, params=query)
        assert status in (200, 422)
    body = {
        "name": text,
        "metadata": {text: text},
        "allowed_models": [text],
        "owner": text,
        "budget_timezone": text,
    }
    status, problem, _ = await api.call("POST", "/keys", OWNER, body)
    assert status == 422
    status, made, _ = await api.call("POST", "/keys", OWNER, {"name": "a", "metadata": {"x": text}})
    assert (status, made["key"]["metadata"]) == (201, {"x": text})
    assert json.dumps(problem)


CURSORS = ["", "-1", "0", "1.1", "1.", ".1", "9" * 12, "9" * 18, "9" * 200, f"{'9' * 18}.{'9' * 18}", "²", "١", "1e3", "\x00", "latest", " 1"]  # fmt: skip
LISTS = [
    "/keys",
    "/members",
    "/organizations",
    "/tokens",
    "/gateways",
    "/models",
    "/logs",
    "/mcp/logs",
    "/usage",
    "/audit",
]


@pytest.mark.parametrize("path", LISTS)
async def test_any_cursor_is_a_place_or_a_mistake(api, path: str) -> None:
    for cursor in CURSORS:
        status, body, _ = await api.call("GET", path, OWNER, params={"cursor": cursor})
        if status == 422:
            assert [error["path"] for error in body["errors"]] == ["cursor"]
        else:
            assert status == 200


async def test_numbers_beyond_any_column_are_mistakes(api) -> None:
    for query in (
        {"limit": "9" * 30},
        {"status": "9" * 30},
        {"from": "9999-12-31T23:59:59Z", "to": "0001-01-01T00:00:00Z"},
    ):
        assert (await api.call("GET", "/logs", OWNER, params=query))[0] in (200, 422)
    status, problem, _ = await api.call("POST", "/keys", OWNER, data=b'{"name":"a","requests_per_minute":' + b"9" * 40 + b"}", headers={"Content-Type": "application/json"})  # fmt: skip
    assert (status, problem["errors"][0]["path"]) == (422, "requests_per_minute")
