"""What of the Gemini dialect is translated to."""

from gateway_proxy.dialects.gemini.form import GeminiForm
from gateway_proxy.dialects.neutral.request import Request


def test_a_provider_may_prefix_its_names() -> None:
    assert GeminiForm().write_request(Request(), "models/gemini-x").model == "gemini-x"
    assert GeminiForm().head_lines() == b""
