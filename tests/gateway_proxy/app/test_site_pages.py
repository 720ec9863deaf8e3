"""What the gateway says while its admin process cannot: a page for browsers, a problem document for programs."""

import orjson
from multidict import CIMultiDict

from gateway_proxy.app.site_pages import accepts_html, answer_down, answer_moved

BROWSER = CIMultiDict({"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})


def test_browsers_are_told_by_what_they_accept() -> None:
    assert accepts_html(BROWSER)
    assert not accepts_html(CIMultiDict({"Accept": "*/*"})) and not accepts_html(CIMultiDict())


def test_a_page_and_a_problem_say_the_same() -> None:
    page = answer_down(BROWSER, "it rests")
    assert page.status == 503 and b"it rests" in page.body and b"http-equiv" in page.body
    assert (
        page.headers["retry-after"] == "2" and "default-src 'none'" in page.headers["content-security-policy"]
    )
    problem = answer_down(CIMultiDict({"Accept": "application/json"}), "it rests")
    told = orjson.loads(problem.body)
    assert problem.headers["content-type"] == "application/problem+json"
    assert told["status"] == problem.status == 503
    assert told["code"] == "admin_unavailable" and "it rests" in told["detail"]


def test_moved_is_not_remembered() -> None:
    moved = answer_moved("/dashboard")
    assert moved.status == 303 and moved.headers["location"] == "/dashboard"
    assert moved.headers["cache-control"] == "no-store"
