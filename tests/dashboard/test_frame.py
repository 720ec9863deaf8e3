import pytest
from aiohttp import web

from dashboard.frame import build_navigation
from tests.support.dashboard import PREFIX, Dashboard


async def show(_: web.Request) -> web.Response:
    return web.Response()


def test_the_navigation_holds_what_is_served_in_its_order() -> None:
    application = web.Application()
    application.add_routes([web.get("/usage", show), web.get("", show), web.get("/logs", show)])
    groups = build_navigation(application.router)
    assert [(group.label, [item.path for item in group.items]) for group in groups] == [
        ("", [""]),
        ("Observe", ["/logs", "/usage"]),
    ]


async def test_the_current_page_is_marked(dashboard: Dashboard) -> None:
    text = (await dashboard.get("/configuration/api-keys")).text
    assert f'<a href="{PREFIX}/configuration/api-keys" aria-current="page">' in text


@pytest.mark.parametrize("name", ["Ada", '"><script>alert(1)</script>'])
async def test_a_notice_is_text_and_shown_once(dashboard: Dashboard, name: str) -> None:
    from urllib.parse import quote

    page = await dashboard.get("/nothing", cookies={"gateway_notice": quote(name)})
    assert "<script>alert" not in page.text
    assert 'role="status"' in page.text
    assert "gateway_notice=" in page.response.headers["Set-Cookie"]
