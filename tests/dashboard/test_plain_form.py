from typing import Any

import pytest
from aiohttp import web
from aiohttp.pytest_plugin import AiohttpClient

from dashboard.plain_form import Mistakes, find_mistakes, read_form
from gateway_proxy.admin.problem import Conflict, Invalid, NotAllowed
from gateway_proxy.keys.fields import FieldError


async def test_texts_are_read_and_everything_else_is_passed_over(aiohttp_client: AiohttpClient) -> None:
    found: dict[str, Any] = {}

    async def take(request: web.Request) -> web.Response:
        form = await read_form(request, ("name", "role"))
        found.update(form.texts)
        return web.Response()

    application = web.Application()
    application.add_routes([web.post("/", take)])
    client = await aiohttp_client(application)
    await client.post("/", data={"name": "  Ada ", "other": "x"})
    assert found == {"name": "Ada", "role": ""}


def test_mistakes_stand_at_their_field_or_above_the_form() -> None:
    refusal = Invalid([FieldError("name", "is too long"), FieldError("else", "what?")])
    mistakes = find_mistakes(refusal, ("name",))
    assert mistakes.of("name") == ["Is too long."]
    assert mistakes.of("") == ["What?"]
    assert find_mistakes(Conflict("taken"), ()).of("") == ["Taken."]
    assert Mistakes().of("name") == []


def test_what_no_form_can_mend_goes_on() -> None:
    with pytest.raises(NotAllowed):
        find_mistakes(NotAllowed("no"), ("name",))
