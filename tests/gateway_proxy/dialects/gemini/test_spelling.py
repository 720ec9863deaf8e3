"""spelling: one name for each member, however it was spelled."""

import pytest

from gateway_proxy.core.errors import BadExchange
from gateway_proxy.dialects.gemini.spelling import spell_alike


def test_snake_becomes_camel_at_this_level_only() -> None:
    body = {
        "generation_config": {"max_output_tokens": 3},
        "tools": [],
        "a_1": 2,
        "_own": 4,
        "With_Capital": 5,
    }
    spell_alike(body)
    assert body == {
        "generationConfig": {"max_output_tokens": 3},
        "tools": [],
        "a1": 2,
        "_own": 4,
        "With_Capital": 5,
    }


def test_two_spellings_of_one_member_are_refused() -> None:
    with pytest.raises(BadExchange) as caught:
        spell_alike({"generation_config": {}, "generationConfig": {}})
    assert (caught.value.code, caught.value.param) == ("invalid_json", "generationConfig")
