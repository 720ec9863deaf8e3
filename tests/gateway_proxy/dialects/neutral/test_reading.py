"""Members of bodies that are to be translated."""

from typing import Any

import pytest

from gateway_proxy.core.errors import BadExchange
from gateway_proxy.dialects.neutral import reading
from gateway_proxy.dialects.neutral.request import Inexpressible, Media


def test_what_is_unknown_and_says_something_is_named() -> None:
    reading.refuse_others({"a": 1, "b": None}, {"a"})
    with pytest.raises(Inexpressible) as refused:
        reading.refuse_others({"a": 1, "b": 2}, {"a"}, "messages.3.")
    assert refused.value.member == "messages.3.b"


@pytest.mark.parametrize(
    ("url", "media"),
    [
        ("data:image/PNG;base64,aGk=", Media("image/png", "aGk=")),
        ("data:text/plain;charset=utf-8;base64,aGk=", Media("text/plain", "aGk=")),
        ("https://example.com/a.png", Media(url="https://example.com/a.png")),
    ],
)
def test_media_urls(url: str, media: Media) -> None:
    assert reading.take_media_url(url, "x") == media


@pytest.mark.parametrize("url", ["data:,hello", "file:///etc/passwd", "", "gs://bucket/a"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(Inexpressible):
        reading.take_media_url(url, "messages.0.content.1.image_url.url")


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (reading.take_object, []), (reading.take_list, {}), (reading.take_text, 1), (reading.take_arguments, "[1]"), (reading.take_arguments, 5),
        (reading.take_arguments, "{"), (reading.take_arguments, None),
    ],
)  # fmt: skip
def test_wrong_types_are_the_clients_mistake(read: Any, value: Any) -> None:
    with pytest.raises(BadExchange) as refused:
        read(value, "here")
    assert (refused.value.code, refused.value.param) == ("invalid_type", "here")


def test_scalars() -> None:
    assert reading.take_arguments("", "x") == {}
    assert reading.take_number({"t": 0.5}, "t") == 0.5 and reading.take_number({}, "t") is None
    assert reading.take_integer({"t": 5}, "t") == 5 and reading.take_flag({"t": False}, "t") is False
    for read, wrong in ((reading.take_number, "1"), (reading.take_integer, 0.5), (reading.take_flag, 1)):
        with pytest.raises(BadExchange):
            read({"t": wrong}, "t")


def test_arguments_that_could_not_be_written_again_are_refused() -> None:
    with pytest.raises(BadExchange) as refused:
        reading.take_arguments('{"a":' * 300 + "1" + "}" * 300, "here")
    assert (refused.value.code, refused.value.param) == ("too_deep", "here")
