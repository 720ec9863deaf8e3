"""`/models`, `/providers`, `/mcp/servers` and `/config` over HTTP."""

import pytest

from gateway_proxy.admin.actor import Role
from tests.support.admin import actor_of

OWNER, MEMBER = actor_of(Role.OWNER), actor_of(Role.MEMBER)


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/models", ["gpt-4o", "free-model"]),
        ("/models?search=FREE", ["free-model"]),
        ("/providers", ["openai", "Zeta", "alpha"]),
        ("/providers?sort=name", ["alpha", "openai", "Zeta"]),
        ("/providers?sort=name&order=desc&limit=1", ["Zeta"]),
        ("/mcp/servers", ["github", "local"]),
    ],
)
async def test_lists(api, path: str, names: list[str]) -> None:
    for actor in (OWNER, MEMBER):
        _, page, _ = await api.call("GET", path, actor)
        assert [item["name"] for item in page["data"]] == names


async def test_the_settings_in_force(api) -> None:
    assert (await api.call("GET", "/config", OWNER))[1]["revision"] == 3
    assert (await api.call("GET", "/config", MEMBER))[0] == 403


@pytest.mark.parametrize("path", ["/models", "/providers", "/mcp/servers", "/config"])
async def test_a_silent_gateway_is_503(api, scene, path: str) -> None:
    scene.view.answers = False
    status, problem, _ = await api.call("GET", path, OWNER)
    assert (status, problem["code"]) == (503, "gateway_unavailable")
