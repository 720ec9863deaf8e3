import pytest

from gateway_proxy.admin import documents
from gateway_proxy.admin.actor import Role
from gateway_proxy.admin.problem import Invalid
from gateway_proxy.keys.fields import Problems

DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("text", "normal"),
    [(" Ada@Example.COM\n", "ada@example.com"), ("Jose\u0301@example.com", "jos\u00e9@example.com")],
)
def test_an_address_has_one_form(text: str, normal: str) -> None:
    problems = Problems()
    assert documents.read_email(text, "email", problems) == normal
    assert not problems.errors


@pytest.mark.parametrize(
    "value",
    [
        "",
        "ada",
        "@example.com",
        "ada@",
        "a da@example.com",
        "a@b@c",
        "a,b@example.com",
        "<a@example.com>",
        "a@.com",
        "a" * 250 + "@b.de",
        "a\0@b.de",
        None,
        7,
    ],
)
def test_what_is_no_address(value: object) -> None:
    problems = Problems()
    documents.read_email(value, "email", problems)
    assert [error.path for error in problems.errors] == ["email"]


def test_unknown_members_are_named_harmlessly() -> None:
    problems = Problems()
    documents.read_document({"name": 1, "\x1b[2J": 2, "x" * 99: 3}, ("name",), problems)
    assert [error.path for error in problems.errors] == ["\\x1b[2J", "x" * 64]
    with pytest.raises(Invalid):
        documents.finish(problems)
    documents.finish(Problems())


@pytest.mark.parametrize("role", list(Role))
def test_every_role_is_read(role: Role) -> None:
    assert documents.read_role(role.value, "role", Problems()) is role


def test_a_missing_role_is_asked_for() -> None:
    problems = Problems()
    assert documents.read_role(None, "role", problems) is Role.VIEWER
    assert problems.errors[0].message == "is required; use one of owner, admin, member, viewer"


@pytest.mark.parametrize("value", ["king", "", None, 3, "OWNER"])
def test_another_role_is_a_mistake_and_never_a_power(value: object) -> None:
    problems = Problems()
    assert documents.read_role(value, "role", problems) is Role.VIEWER
    assert problems.errors


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"expires_in": "never"}, None), ({"expires_in": "30d"}, 1000 + 30 * DAY_MS),
        ({"expires_in": "1y"}, 1000 + 365 * DAY_MS), ({"expires_at": "1970-01-02T00:00:00Z"}, DAY_MS),
    ],
)  # fmt: skip
def test_an_expiry(document: dict[str, str], expected: int | None) -> None:
    problems = Problems()
    assert documents.read_expiry(document, 1000, problems) == expected
    assert not problems.errors


def test_names_may_be_left_out() -> None:
    assert documents.read_name(None, "name", Problems()) == documents.read_name("", "name", Problems()) == ""
    assert documents.read_name(" Ada ", "name", Problems()) == "Ada"


def test_one_mistake_is_raised_by_its_path() -> None:
    error = documents.refuse("role", "is too much")
    assert (error.errors[0].path, error.detail) == ("role", "role: is too much")
