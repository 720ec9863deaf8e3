"""Times in queries, and what every list takes."""

import pytest
from pydantic import ValidationError

from gateway_proxy.admin.api.shapes import Asked, AskedTime, ListQuery, page_answer
from gateway_proxy.admin.paging import Listing, Page


class Span(Asked):
    at: AskedTime


@pytest.mark.parametrize(
    ("text", "at"), [("1970-01-01T00:00:01Z", 1000), ("1970-01-01T01:00:00.5+01:00", 500)]
)
def test_times_are_milliseconds(text: str, at: int) -> None:
    assert Span.model_validate({"at": text}).at == at


@pytest.mark.parametrize(
    "text", ["", "now", "2024-01-01", "2024-13-01T00:00:00Z", "0", "2024-01-01T00:00:00"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="is not a time"):
        Span.model_validate({"at": text})


def test_a_list_is_asked_for_as_the_services_take_it() -> None:
    asked = ListQuery.model_validate({"search": "a", "order": "desc", "limit": "7", "cursor": "3"})
    assert asked.listing("name") == Listing(search="a", sort="name", descending=True, limit=7, cursor="3")


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "1001"}, {"order": "up"}, {"search": "x" * 201}])
def test_lists_are_bounded(query: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        ListQuery.model_validate(query)


def test_a_page() -> None:
    assert page_answer(Page([{"a": 1}], "1")).body == {"data": [{"a": 1}], "next_cursor": "1"}
