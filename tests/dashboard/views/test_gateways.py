import json

import pytest

from gateway_proxy.admin.actor import Role
from gateway_proxy.core.clock import Clock
from gateway_proxy.storage.registry import Gateway
from tests.support.dashboard import Dashboard, acting_as


@pytest.fixture
async def site(dashboard: Dashboard) -> Dashboard:
    now = Clock().now_ms()
    for gateway_id, name, seen_ms, digest in (
        ("gtw_a", "eu <b>", now, "one"),
        ("gtw_b", "us", now, "two"),
        ("gtw_c", "old", 5, "one"),
    ):
        await dashboard.store.registry.heartbeat(
            Gateway(gateway_id, name, "default", "1.0", now, seen_ms, 0, digest)
        )
    return dashboard


async def test_gateways_are_listed_with_their_status_and_as_a_file(site: Dashboard) -> None:
    page = await site.get("/gateways")
    for told in ("eu &lt;b&gt;", "Healthy", "Offline", "run with different settings"):
        assert told in page.text
    assert "No gateway matches" in (await site.get("/gateways?status=revoked")).text
    rows = json.loads((await site.get("/gateways?search=US&format=json")).text)["data"]
    assert [(row["id"], row["status"]) for row in rows] == [("gtw_b", "healthy")]
    assert (await site.get("/gateways?status=ill")).status == 400


async def test_a_gateway_is_revoked_allowed_and_forgotten(site: Dashboard) -> None:
    page = await site.post("/gateways/gtw_a/revoke")
    assert (page.status, page.location) == (303, "/dashboard/gateways/gtw_a")
    page = await site.get("/gateways/gtw_a")
    assert "Allow eu" in page.text and "Revoke eu" not in page.text
    await site.post("/gateways/gtw_a/allow")
    assert "Revoke eu" in (await site.get("/gateways/gtw_a")).text
    page = await site.post("/gateways/gtw_a/forget")
    assert page.location == "/dashboard/gateways"
    assert (await site.get("/gateways/gtw_a")).status == 404
    assert (await site.post("/gateways/gtw_b/explode")).status == 404


async def test_viewers_read_and_members_do_not(site: Dashboard) -> None:
    site.actor = acting_as(Role.VIEWER)
    page = await site.get("/gateways/gtw_a")
    assert page.status == 200
    assert '<form method="post" action="/dashboard/gateways' not in page.text
    assert (await site.post("/gateways/gtw_a/revoke")).status == 403
    site.actor = acting_as(Role.MEMBER)
    assert (await site.get("/gateways")).status == 403
    site.actor = acting_as(Role.OWNER, organization="acme")
    assert (await site.get("/gateways/gtw_a")).status == 404


async def test_without_a_gateway_the_page_says_how_to_attach_one(dashboard: Dashboard) -> None:
    assert "gateway-proxy serve" in (await dashboard.get("/gateways")).text
