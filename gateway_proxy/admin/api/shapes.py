"""What many operations share: the query of a list, an empty body, a problem, times and amounts."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from gateway_proxy.admin.api.operation import Answer
from gateway_proxy.admin.paging import Listing, Page
from gateway_proxy.keys.fields import Problems, read_time

MAX_PAGE = 1000


class Asked(BaseModel):
    """What clients send: a member that is not known is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Shown(BaseModel):
    """What the API answers; clients must live with members that a later version adds."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ListQuery(Asked):
    """What every list takes."""

    search: str = Field("", max_length=200, description="Text that stands in the name, whatever its case.")
    order: Literal["asc", "desc"] = "asc"
    limit: int = Field(50, ge=1, le=MAX_PAGE, description="Entries in a page.")
    cursor: str | None = Field(None, max_length=200, description="`next_cursor` of the page before.")

    def listing(self, sort: str | None) -> Listing:
        """As the services take it."""
        return Listing(
            search=self.search,
            sort=sort,
            descending=self.order == "desc",
            limit=self.limit,
            cursor=self.cursor,
        )


class Nothing(Asked):
    """An empty object; the body may also be left out."""


class FieldMistake(Shown):
    """One mistake in what was sent."""

    path: str = Field(description="Where: `mcp.servers[0]`, or the name of a query parameter.")
    message: str = Field(description="What is wrong, and what to write instead.")


class ProblemAnswer(Shown):
    """RFC 9457: why it was refused."""

    type: str = Field(description="`urn:gateway-proxy:problem:` and the code.")
    title: str
    status: int
    code: str = Field(description="Stable; docs/reference.md lists all.")
    detail: str
    errors: list[FieldMistake]


def page_answer(page: Page) -> Answer:
    """A page as every list answers it."""
    return Answer({"data": page.data, "next_cursor": page.next_cursor})


def _read_time(value: object) -> int:
    problems = Problems()
    at = read_time(value, "", problems)
    if problems.errors:
        raise ValueError(problems.errors[0].message)
    return at


# Unix milliseconds of an RFC 3339 time in a query.
AskedTime = Annotated[
    int, BeforeValidator(_read_time), WithJsonSchema({"type": "string", "format": "date-time"})
]
# RFC 3339 in UTC.
Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
# USD as a decimal string.
Usd = Annotated[str, Field(pattern=r"^-?[0-9]+\.[0-9]{2,9}$", description="USD.", examples=["25.00"])]
Cursor = Annotated[str | None, Field(description="Where the next page begins; null: this was the last.")]
Metadata = dict[str, Any]
