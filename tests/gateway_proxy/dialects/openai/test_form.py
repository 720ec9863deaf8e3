"""What of the OpenAI dialect is translated at all."""

import pytest

from gateway_proxy.core.errors import BadExchange
from gateway_proxy.dialects.openai import OpenAIDialect
from gateway_proxy.dialects.openai.form import OpenAIForm


def test_only_chats_are_translated() -> None:
    route = OpenAIDialect().identify(
        "completions", "/v1/completions", b'{"model":"m","prompt":"x"}', "application/json"
    )
    with pytest.raises(BadExchange) as refused:
        OpenAIForm().read_request(route)
    assert (refused.value.status, refused.value.code) == (400, "dialect_not_served")
    assert OpenAIForm().head_lines() == b""
