"""The process's protocol: messages in, the error of each out, and no word of apprise's own."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from gateway_proxy.notify.service_process import main

MESSAGE = {"title": "t", "body": "b", "kind": "info"}


# apprise's own dependencies on what Python will drop.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def keep_logging() -> Iterator[None]:
    yield
    logging.disable(logging.NOTSET)


def ask(url: str) -> list[str]:
    target = io.BytesIO()
    main(io.BytesIO(json.dumps({"url": url, "messages": [MESSAGE, MESSAGE]}).encode()), target)
    answer = json.loads(target.getvalue())
    assert isinstance(answer, list)
    return answer


@pytest.mark.slow
def test_each_message_is_sent(receiver) -> None:
    assert ask(f"json://127.0.0.1:{receiver.port}/x") == ["", ""]
    assert [(r.json["title"], r.json["message"]) for r in receiver.requests] == [("t", "b")] * 2


def test_refusals_are_told_in_fixed_words(receiver, capfd) -> None:
    receiver.answer = lambda _: 500
    assert ask(f"json://user:s3cret@127.0.0.1:{receiver.port}") == ["the service did not take it"] * 2
    assert ask("nonsense://s3cret") == ["the URL is not one of a known notification service"] * 2
    captured = capfd.readouterr()
    assert "s3cret" not in captured.out + captured.err
