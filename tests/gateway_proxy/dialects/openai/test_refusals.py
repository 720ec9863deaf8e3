"""refusals: the shapes that SDKs recognise."""

import orjson

from gateway_proxy.core.errors import BudgetExceeded, UpstreamFailed
from gateway_proxy.dialects.openai.refusals import error_body, error_event


def test_all_four_members_and_ours_only_if_there() -> None:
    assert orjson.loads(error_body(UpstreamFailed("It broke.", detail="socket 7"))) == {
        "error": {"message": "It broke.", "type": "api_error", "param": None, "code": "upstream_broken"}
    }
    error = orjson.loads(error_body(BudgetExceeded("Spent.", gateway={"budget": {"limit": "1"}})))["error"]
    assert error["gateway"] == {"budget": {"limit": "1"}}
    assert error["type"] == error["code"] == "insufficient_quota"


def test_the_last_event_of_a_broken_stream() -> None:
    error = UpstreamFailed('It "broke".\n')
    event = error_event(error, "chat")
    assert event == b"data: " + error_body(error) + b"\n\n"
    assert event.count(b"\n") == 2
    name, data = error_event(error, "responses").removesuffix(b"\n\n").split(b"\n")
    assert name == b"event: error"
    assert orjson.loads(data.removeprefix(b"data: ")) == {
        "type": "error",
        "code": "upstream_broken",
        "message": 'It "broke".\n',
        "param": None,
        "sequence_number": 0,
    }
