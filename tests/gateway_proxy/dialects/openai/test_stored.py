"""Requests for stored responses, and the ids that answers bring."""

import orjson
import pytest

from gateway_proxy.core.catalog import Target
from gateway_proxy.core.errors import BadExchange
from gateway_proxy.core.kept import Kept
from gateway_proxy.core.route import Route
from gateway_proxy.core.usage import Usage
from gateway_proxy.dialects.azure import AzureDialect
from gateway_proxy.dialects.openai import OpenAIDialect
from gateway_proxy.dialects.openai.stored import find_made, identify_read

TARGET = Target("acme", "upstream-name")


@pytest.mark.parametrize(
    ("path", "stream"),
    [
        ("/responses/resp_1", False),
        ("/responses/resp_1?stream=true&starting_after=3", True),
        ("/responses/resp_1/input_items?limit=2", False),
        ("/responses/resp_1/cancel", False),
    ],
)
def test_a_read_leaves_as_it_came(path: str, stream: bool) -> None:
    dialect = OpenAIDialect()
    route = dialect.identify("responses", f"/v1{path}", b"", "")
    assert (route.free, route.model, route.stream) == (True, "", stream)
    assert route.kept is not None and [r.id for r in route.kept.references] == ["resp_1"]
    assert dialect.encode(route, TARGET, 5, True) == (b"", "", path)


def test_azure_has_a_version_beside_what_is_asked() -> None:
    route = OpenAIDialect().identify("responses", "/v1/responses/resp_1?limit=1", b"", "")
    paths = [AzureDialect(version).encode(route, TARGET, None, True)[2] for version in ("", "v1")]
    assert paths == ["/openai/v1/responses/resp_1?limit=1", "/openai/responses/resp_1?limit=1&api-version=v1"]


@pytest.mark.parametrize(
    "path",
    ["/responses/", "/responses/..", "/responses/a/b", "/responses/a/cancel/b", "/responses/" + "a" * 201],
)
def test_other_paths_are_nothing(path: str) -> None:
    with pytest.raises(BadExchange) as caught:
        identify_read("responses", path, b"")
    assert (caught.value.status, caught.value.code) == (404, "route_not_found")


def test_a_read_has_no_body() -> None:
    identify_read("responses", "/responses/resp_1/cancel", b" {} ")
    with pytest.raises(BadExchange):
        identify_read("responses", "/responses/resp_1/cancel", b'{"model":"m"}')


def test_made_ids_are_the_providers_own() -> None:
    answer = {
        "id": "resp_1",
        "output": [
            {"id": "rs_1"}, {"id": "ci_1", "container_id": "cntr_1"}, {"id": "../x"}, {"id": 7}, "text", {"id": "a" * 201},
        ],
        "data": [{"id": "msg_of_the_client"}],
        "choices": [{"message": {"audio": {"id": "audio_1"}}}, None, {"message": {"audio": None}}],
    }  # fmt: skip
    assert find_made(answer) == ["resp_1", "rs_1", "ci_1", "cntr_1", "audio_1"]
    assert find_made({"id": None, "output": 7, "choices": {}}) == []


def listening(route: Route) -> list[tuple[list[str], bool]]:
    """What is noted while an answer to the route passes."""
    noted: list[tuple[list[str], bool]] = []
    assert route.kept is not None
    route.kept.note = lambda ids, lasts: noted.append((list(ids), lasts))
    return noted


def ask(**members: object) -> Route:
    body = orjson.dumps({"model": "m", "input": "hi", **members})
    return OpenAIDialect().identify("responses", "/v1/responses", body, "application/json")


@pytest.mark.parametrize(
    ("members", "answered", "lasts"), [({}, None, True), ({}, False, False), ({"store": False}, None, False)]
)
def test_ids_of_an_answer_in_one_piece(members: dict[str, object], answered: object, lasts: bool) -> None:
    route = ask(**members)
    noted = listening(route)
    tap = OpenAIDialect().tap(route, False)
    tap.feed(orjson.dumps({"id": "resp_1", "output": [{"id": "msg_1"}], "store": answered}))
    tap.close()
    assert noted == [(["resp_1", "msg_1"], lasts)]


def test_ids_of_a_stream_are_known_from_its_first_event() -> None:
    route = ask(stream=True)
    noted = listening(route)
    tap = OpenAIDialect().tap(route, True)
    tap.feed(
        b'event: response.created\ndata: {"type":"response.created","response":{"id":"resp_1","output":[]}}\n\n'
    )
    assert noted == [(["resp_1"], True)]
    tap.feed(
        b'event: response.completed\ndata: {"type":"response.completed","response":{"id":"resp_1",'
        b'"output":[{"id":"msg_1"}],"usage":{"input_tokens":1,"output_tokens":1,"total_tokens":2}}}\n\n'
    )
    assert noted[-1] == (["resp_1", "msg_1"], True)


@pytest.mark.parametrize("cut", [3, 25, 60])
def test_the_id_of_streamed_sound(cut: int) -> None:
    body = {"model": "m", "messages": [], "modalities": ["audio"], "stream": True}
    route = OpenAIDialect().identify("chat", "/v1/chat/completions", orjson.dumps(body), "")
    noted = listening(route)
    tap = OpenAIDialect().tap(route, True)
    events = (
        b'data: {"id":"c","choices":[{"delta":{"role":"assistant"}}]}\n\n'
        b'data: {"id":"c","choices":[{"delta":{"audio":{"id":"audio_1","transcript":"a"}}}]}\n\n'
    )
    tap.feed(events[:-cut])
    tap.feed(events[-cut:])
    assert (["audio_1"], False) in noted


@pytest.mark.parametrize("streaming", [False, True])
def test_an_answer_that_was_paid_for_is_not_paid_for_again(streaming: bool) -> None:
    route = Route("responses", "/responses/resp_1", "m", free=True, kept=Kept())
    tap = OpenAIDialect().tap(route, streaming)
    answer = b'{"id":"resp_1","usage":{"input_tokens":9,"output_tokens":9,"total_tokens":18}}'
    tap.feed(b'data: {"type":"response.completed","response":' + answer + b"}\n\n" if streaming else answer)
    tap.close()
    assert (tap.usage, tap.usage_final) == (Usage(), True)


def test_a_provider_that_keeps_nothing_is_told_so() -> None:
    quiet, usual = OpenAIDialect(keeps=False), OpenAIDialect()
    assert orjson.loads(quiet.encode(ask(), TARGET, None, True)[0])["store"] is False
    assert "store" not in orjson.loads(usual.encode(ask(), TARGET, None, True)[0])
    chat = orjson.dumps({"model": "m", "messages": []})
    route = usual.identify("chat", "/v1/chat/completions", chat, "")
    assert "store" not in orjson.loads(quiet.encode(route, TARGET, None, True)[0])
