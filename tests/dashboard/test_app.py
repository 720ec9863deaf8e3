import pytest

from tests.support.dashboard import Dashboard


async def test_an_unknown_page_is_an_error_page_in_the_dashboards_look(dashboard: Dashboard) -> None:
    page = await dashboard.get("/nothing-here")
    assert page.status == 404
    assert "<h1>Page not found</h1>" in page.text
    assert "ada@example.com" in page.text


@pytest.mark.parametrize("path", ["/nothing-here", "/theme", "/static/none.css"])
async def test_every_answer_carries_the_security_headers(dashboard: Dashboard, path: str) -> None:
    headers = (await dashboard.get(path)).response.headers
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';")
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"


async def test_pages_hold_no_inline_script_or_style(dashboard: Dashboard) -> None:
    text = (await dashboard.get("/nothing-here")).text
    assert "<style" not in text
    assert " style=" not in text
    assert " onclick" not in text
    assert text.count("<script") == text.count("<script src=")
