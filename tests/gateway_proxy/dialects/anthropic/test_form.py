"""What of the Anthropic dialect is translated at all."""

import pytest

from gateway_proxy.core.errors import BadExchange
from gateway_proxy.dialects.anthropic import AnthropicDialect
from gateway_proxy.dialects.anthropic.form import AnthropicForm


def test_counting_beforehand_is_not_translated() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"x"}]}'
    route = AnthropicDialect().identify("messages", "/v1/messages/count_tokens", body, "application/json")
    with pytest.raises(BadExchange) as refused:
        AnthropicForm().read_request(route)
    assert (refused.value.status, refused.value.code) == (400, "dialect_not_served")
    assert AnthropicForm().head_lines() == b"anthropic-version: 2023-06-01\r\n"
