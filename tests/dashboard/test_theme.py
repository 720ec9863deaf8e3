import pytest

from tests.support.dashboard import PREFIX, Dashboard


async def test_a_choice_is_kept_and_leads_back(dashboard: Dashboard) -> None:
    page = await dashboard.post("/theme", {"theme": "dark", "back": f"{PREFIX}/logs?model=a%20b"})
    assert page.status == 303
    assert page.location == f"{PREFIX}/logs?model=a%20b"
    assert 'data-theme="dark"' in (await dashboard.get("/nothing")).text


async def test_without_a_choice_the_system_decides(dashboard: Dashboard) -> None:
    assert 'data-theme="system"' in (await dashboard.get("/nothing")).text


async def test_a_garbled_cookie_is_no_choice(dashboard: Dashboard) -> None:
    page = await dashboard.get("/nothing", cookies={"gateway_theme": "pink"})
    assert 'data-theme="system"' in page.text


async def test_an_unknown_theme_is_refused(dashboard: Dashboard) -> None:
    assert (await dashboard.post("/theme", {"theme": "pink"})).status == 400


@pytest.mark.parametrize(
    "back",
    ["https://example.com/", "//example.com", f"{PREFIX}//example.com", f"{PREFIX}x", f"{PREFIX}/\\example.com", f"{PREFIX}/\r\nX: y"],
)  # fmt: skip
async def test_it_never_leads_elsewhere(dashboard: Dashboard, back: str) -> None:
    page = await dashboard.post("/theme", {"theme": "dark", "back": back})
    assert page.location == PREFIX
