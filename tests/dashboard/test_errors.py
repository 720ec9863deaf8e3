import logging

import pytest

from gateway_proxy.admin.problem import NotAllowed, Problem, TooMany
from tests.support.dashboard import Dashboard

KEYS = "/configuration/api-keys"


def failing(monkeypatch: pytest.MonkeyPatch, dashboard: Dashboard, error: BaseException) -> None:
    async def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(type(dashboard.admin.keys), "search", fail)


@pytest.mark.parametrize(
    ("error", "status", "shown"),
    [
        (NotAllowed("only owners may <do> this"), 403, "Only owners may &lt;do&gt; this."),
        (ConnectionError("gone"), 503, "Not available just now"),
        (Problem("what <b>"), 400, "What &lt;b&gt;."),
    ],
)
async def test_what_a_page_raises_is_a_page(
    dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, shown: str
) -> None:
    failing(monkeypatch, dashboard, error)
    page = await dashboard.get(KEYS)
    assert page.status == status
    assert shown in page.text
    assert page.response.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_fault_shows_no_traceback_and_is_logged(
    dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failing(monkeypatch, dashboard, RuntimeError("a broken cable"))
    with caplog.at_level(logging.ERROR):
        page = await dashboard.get(KEYS)
    assert page.status == 500
    assert "Something went wrong" in page.text
    assert "a broken cable" not in page.text
    assert "a broken cable" in caplog.text


async def test_throttled_says_when_to_come_back(
    dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, dashboard, TooMany("slow down", 30))
    page = await dashboard.get(KEYS)
    assert (page.status, page.response.headers["Retry-After"]) == (429, "30")


async def test_a_wrong_method_names_the_right_ones(dashboard: Dashboard) -> None:
    page = await dashboard.get("/theme")
    assert page.status == 405
    assert page.response.headers["Allow"] == "POST"
    assert "Not possible here" in page.text
