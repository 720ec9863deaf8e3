"""Where no gateway can be asked, every question is answered by a problem."""

import pytest

from gateway_proxy.admin.gateway_view import NoGateway, ask
from gateway_proxy.admin.problem import Unavailable


async def test_no_gateway_answers_nothing() -> None:
    view = NoGateway()
    for question in (view.config(), view.providers(), view.models(), view.counters("key_1")):
        with pytest.raises(Unavailable, match="whether it runs"):
            await ask(question)


async def test_an_answer_passes() -> None:
    async def answer() -> int:
        return 42

    assert await ask(answer()) == 42
