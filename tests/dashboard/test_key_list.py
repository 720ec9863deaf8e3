import pytest

from dashboard.key_list import PAGE_SIZE, ListState, read_state


@pytest.mark.parametrize(
    "state",
    [
        ListState(),
        ListState(search="a b&c=d", status="expired", sort="requests", descending=True, page=3),
        ListState(sort="name", descending=False),
        ListState(sort="created_at", descending=False),
        ListState(sort="owner", descending=True),
    ],
)
def test_an_address_holds_the_state(state: ListState) -> None:
    from urllib.parse import parse_qsl

    assert read_state(dict(parse_qsl(state.address().removeprefix("?")))) == state


def test_what_goes_without_saying_is_not_said() -> None:
    assert ListState().address() == ""


@pytest.mark.parametrize(
    "query",
    [
        {"status": "nonsense", "sort": "secret", "order": "up", "page": "-1"},
        {"page": "0"},
        {"page": "٣"},
        {"page": ""},
        {"search": "  "},
    ],
)
def test_what_is_garbled_is_left_at_its_default(query: dict[str, str]) -> None:
    assert read_state(query) == ListState()


def test_a_long_search_and_a_far_page_are_cut() -> None:
    state = read_state({"search": "x" * 10_000, "page": "9" * 50})
    assert len(state.search) == 200
    assert state.query().skip < 2**40


def test_a_column_without_an_order_has_its_own() -> None:
    assert read_state({"sort": "requests"}).descending
    assert not read_state({"sort": "name"}).descending


def test_a_click_on_a_head_sorts_and_then_turns() -> None:
    state = ListState(page=4)
    assert state.sorted_by("name") == "?sort=name&order=asc"
    assert state.sorted_by("requests") == "?sort=requests&order=desc"
    assert ListState(sort="name", descending=False).sorted_by("name") == "?sort=name&order=desc"
    assert ListState(sort="name", descending=True).sorted_by("name") == "?sort=name&order=asc"
    assert ListState(sort="requests").sorted_by("requests") == "?sort=requests&order=asc"


def test_direction() -> None:
    state = ListState(sort="name", descending=False)
    assert (state.direction("name"), state.direction("owner")) == ("ascending", "")
    assert ListState(sort="owner").direction("owner") == "descending"


def test_query() -> None:
    query = ListState(search="x", status="active", sort="owner", descending=False, page=3).query()
    assert (query.search, query.status, query.sort, query.descending) == ("x", "active", "owner", False)
    assert (query.limit, query.skip) == (PAGE_SIZE, 2 * PAGE_SIZE)


def test_filtered() -> None:
    assert not ListState(sort="name").filtered
    assert ListState(search="x").filtered
    assert ListState(status="active").filtered
