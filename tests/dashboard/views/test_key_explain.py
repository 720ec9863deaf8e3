"""The page that explains: questions by form, verdicts below, and nothing typed is lost."""

from gateway_proxy.admin.actor import Role
from tests.support.dashboard import OWNER, Dashboard, acting_as

KEYS = "/configuration/api-keys"


async def make(dashboard: Dashboard, **members: object) -> str:
    return str((await dashboard.admin.keys.create(OWNER, {"name": "Prod", **members})).key["id"])


async def test_a_question_and_its_verdicts(dashboard: Dashboard) -> None:
    path = f"{KEYS}/{await make(dashboard)}"
    assert f"{path}/explain" in (await dashboard.get(path)).text
    assert "What would happen?" in (await dashboard.get(f"{path}/explain")).text
    question = {"model": "gpt-4o", "endpoint": "embeddings", "ip": "10.0.0.1", "provider": "", "mcp_tool": ""}
    page = await dashboard.post(f"{path}/explain", question)
    assert page.status == 200 and "The request would be refused: <code>model_not_found</code>" in page.text
    assert ">Allows<" in page.text and ">Denies<" in page.text and "Not this model." in page.text
    assert 'value="gpt-4o"' in page.text and '<option value="embeddings" selected>' in page.text
    assert dashboard.view.asked[1]["ip"] == "10.0.0.1"


async def test_mistakes_stand_beside_their_fields(dashboard: Dashboard) -> None:
    page = await dashboard.post(f"{KEYS}/{await make(dashboard)}/explain", {"model": "", "ip": "<b>"})
    assert page.status == 422 and 'id="model-error"' in page.text and 'id="ip-error"' in page.text
    assert "<b>" not in page.text and dashboard.view.asked is None


async def test_a_silent_gateway_is_told(dashboard: Dashboard) -> None:
    dashboard.view.silent = True
    page = await dashboard.post(f"{KEYS}/{await make(dashboard)}/explain", {"model": "m"})
    assert page.status == 503 and "does not answer" in page.text and 'value="m"' in page.text


async def test_whoever_sees_the_key_may_ask(dashboard: Dashboard) -> None:
    path = f"{KEYS}/{await make(dashboard)}/explain"
    dashboard.actor = acting_as(Role.VIEWER)
    assert (await dashboard.post(path, {"model": "m"})).status == 200
    dashboard.actor = acting_as(Role.MEMBER)
    assert (await dashboard.post(path, {"model": "m"})).status == 404


async def test_a_shadowed_key_says_so(dashboard: Dashboard) -> None:
    key_id = await make(dashboard, shadow=True)
    text = (await dashboard.get(f"{KEYS}/{key_id}")).text
    assert f"/logs?key={key_id}&amp;would_deny=any" in text and "<dt>Shadow</dt>" in text
    assert 'id="shadow" checked' in (await dashboard.get(f"{KEYS}/{key_id}/edit")).text
