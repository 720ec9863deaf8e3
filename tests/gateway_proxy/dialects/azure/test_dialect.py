"""dialect: OpenAI's bodies at Azure's paths, both ways."""

from typing import Any

import orjson
import pytest

from gateway_proxy.core.catalog import Target
from gateway_proxy.core.errors import BadExchange, Forbidden, ModelUnknown
from gateway_proxy.dialects.azure import AzureDialect
from gateway_proxy.dialects.openai import OpenAIDialect
from gateway_proxy.dialects.openai.tap import AnswerTap

DATED, PLAIN, OPENAI = AzureDialect("2024-10-21"), AzureDialect(), OpenAIDialect()
BODY: dict[str, Any] = {"model": "said", "messages": [{"role": "user", "content": "hi"}]}
FORM = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n--b--\r\n'


@pytest.mark.parametrize("body", [BODY, {"messages": BODY["messages"]}])
def test_the_path_names_the_model(body: dict[str, Any]) -> None:
    path = "/openai/deployments/fake/gpt%2D4/chat/completions"
    route = DATED.identify("chat", path, orjson.dumps(body), "application/json")
    assert (route.model, route.path) == ("fake/gpt-4", "/chat/completions")
    sent = OPENAI.encode(route, Target("p", "t"), None, True)
    assert orjson.loads(sent[0])["model"] == "t" and sent[2] == "/chat/completions"
    same = DATED.identify("chat", path, orjson.dumps(body), "application/json")
    assert orjson.loads(OPENAI.encode(same, Target("p", same.model), None, True)[0])["model"] == same.model


def test_a_form_takes_its_model_from_the_path_too() -> None:
    route = DATED.identify(
        "audio", "/openai/deployments/w/audio/transcriptions", FORM, "multipart/form-data; boundary=b"
    )
    assert route.model == "w"
    assert b'name="model"\r\n\r\nt\r\n' in OPENAI.encode(route, Target("p", "t"), None, True)[0]


@pytest.mark.parametrize("path", ["/openai/deployments/x/files", "/openai/deployments/completions"])
def test_other_paths_are_not_there(path: str) -> None:
    with pytest.raises(BadExchange) as caught:
        DATED.identify("chat", path, b"{}", "")
    assert caught.value.status == 404


@pytest.mark.parametrize(
    ("path", "dated", "plain"),
    [
        (
            "/chat/completions",
            "/openai/deployments/d%2Fx/chat/completions?api-version=2024-10-21",
            "/openai/v1/chat/completions",
        ),
        (
            "/embeddings",
            "/openai/deployments/d%2Fx/embeddings?api-version=2024-10-21",
            "/openai/v1/embeddings",
        ),
        ("/responses", "/openai/responses?api-version=2024-10-21", "/openai/v1/responses"),
    ],
)
def test_where_it_is_sent(path: str, dated: str, plain: str) -> None:
    body = {"model": "m", "messages": [], "input": "x"}
    for dialect, expected in ((DATED, dated), (PLAIN, plain)):
        route = OPENAI.identify("chat", path, orjson.dumps(body), "")
        sent = dialect.encode(route, Target("p", "d/x"), None, True)
        assert sent[2] == expected and orjson.loads(sent[0])["model"] == "d/x"


@pytest.mark.parametrize("name", [".", ".."])
def test_no_name_climbs_in_the_path(name: str) -> None:
    with pytest.raises(ModelUnknown):
        DATED.encode(
            OPENAI.identify("chat", "/chat/completions", orjson.dumps(BODY), ""),
            Target("p", name),
            None,
            True,
        )


def test_the_rest_is_openais() -> None:
    assert DATED.upstream_headers("k") == [("api-key", "k")] and DATED.upstream_headers(None) == []
    error = Forbidden("No.")
    assert DATED.error_body(error, "") == OPENAI.error_body(error, "")
    assert DATED.error_event(error, "chat", "") == OPENAI.error_event(error, "chat", "")
    route = OPENAI.identify("chat", "/chat/completions", orjson.dumps(BODY), "")
    assert type(DATED.tap(route, False)) is AnswerTap
