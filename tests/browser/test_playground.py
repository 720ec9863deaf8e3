"""The playground against a data plane that the test plays: what it sends, shows and keeps."""

import json
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect

from tests.support.browser import Visit
from tests.support.dashboard import Dashboard
from tests.support.traffic import add_request

pytestmark = pytest.mark.asyncio(loop_scope="session")
SECRET = "gwk_" + "x" * 49
USAGE = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}


class DataPlane:
    """Answers /v1 of the page's origin, and remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.refusal: dict[str, Any] | None = None

    async def attach(self, page: Page) -> None:
        await page.route("**/v1/**", self._answer)

    async def _answer(self, route: Route) -> None:
        self.headers.append(await route.request.all_headers())
        if route.request.url.endswith("/models"):
            await route.fulfill(json={"object": "list", "data": [{"id": "gpt-4o"}, {"id": "<i>m</i>"}]})
            return
        self.asked.append(route.request.post_data_json)
        if self.refusal is not None:
            await route.fulfill(status=429, json={"error": self.refusal})
            return
        pieces = [{"choices": [{"delta": {"content": text}}]} for text in ("Hi ", "<b>you</b>")]
        lines = [f"data: {json.dumps(piece)}\n\n" for piece in [*pieces, {"choices": [], "usage": USAGE}]]
        await route.fulfill(
            content_type="text/event-stream",
            headers={"x-request-id": "req_play", "x-gateway-budget-remaining-usd": "4.20"},
            body=": keep-alive\n\n" + "".join(lines) + "data: [DONE]\n\n",
        )


async def say(page: Page, text: str) -> None:
    await page.get_by_label("Message", exact=True).fill(text)
    await page.get_by_label("Message", exact=True).press("Enter")


async def test_a_chat_shows_its_tokens_cost_and_headers_and_keeps_the_secret_nowhere(
    visit: Visit, site: Dashboard
) -> None:
    plane = DataPlane()
    await add_request(site.store, "req_play", cost_nanos=123_000_000)
    async with visit(site) as page:
        await plane.attach(page)
        await page.goto("/dashboard/playground")
        await page.get_by_label("Key").fill(SECRET)
        await page.get_by_label("Key").press("Tab")
        await expect(page.get_by_text("This key may use 2 models.")).to_be_visible()
        await expect(page.get_by_label("Model")).to_have_value("gpt-4o")
        await page.get_by_label("Instructions").fill("Be brief.")
        await say(page, "Hello")
        await expect(page.locator(".play-message.assistant")).to_have_text("Hi <b>you</b>")
        await expect(page.locator("[data-play-summary]")).to_contain_text(
            "$0.123 · 7 input and 2 output tokens"
        )
        await page.locator("[data-play-facts] summary").click()
        await expect(page.get_by_text("x-gateway-budget-remaining-usd")).to_be_visible()
        await expect(page.get_by_role("link", name="in the log, with its cost")).to_be_visible()
        await say(page, "And again")
        await expect(page.locator(".play-message")).to_have_count(4)
        assert [message["content"] for message in plane.asked[1]["messages"]] == [
            "Be brief.", "Hello", "Hi <b>you</b>", "And again",
        ]  # fmt: skip
        assert plane.asked[0]["model"] == "gpt-4o" and plane.asked[0]["stream"] is True
        for headers in plane.headers:
            assert headers["authorization"] == f"Bearer {SECRET}"
            assert "cookie" not in headers
        kept = await page.evaluate(
            "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])"
        )
        assert SECRET not in kept
        await page.reload()
        await expect(page.get_by_label("Key")).to_have_value("")


async def test_a_refusal_is_told_and_the_message_can_be_sent_again(visit: Visit, site: Dashboard) -> None:
    plane = DataPlane()
    plane.refusal = {"code": "insufficient_quota", "message": "The budget is <b>spent</b>."}
    async with visit(site) as page:
        await plane.attach(page)
        await page.goto("/dashboard/playground")
        await say(page, "Hello")
        await expect(page.get_by_role("alert")).to_have_text("Enter a key first.")
        await page.get_by_label("Key").fill(SECRET)
        await page.get_by_label("Model").fill("gpt-4o")
        await say(page, "Hello")
        await expect(page.get_by_role("alert")).to_have_text(
            "429 insufficient_quota: The budget is <b>spent</b>."
        )
        plane.refusal = None
        await say(page, "Hello")
        await expect(page.locator(".play-message.assistant")).to_have_count(1)
        await expect(page.get_by_role("alert")).to_be_hidden()
        assert len(plane.asked[1]["messages"]) == 1  # what failed is no part of the talk


async def test_without_a_script_no_secret_is_asked_for(visit: Visit, site: Dashboard) -> None:
    async with visit(site, script=False) as page:
        await page.goto("/dashboard/playground")
        await expect(page.get_by_label("Key")).to_be_hidden()
