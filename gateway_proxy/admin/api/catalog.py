"""`/models`, `/providers` and `/config`: the settings in force, as the gateway tells them."""

from typing import Any, Literal

from pydantic import Field

from gateway_proxy.admin.api.operation import Answer, Call, Operation
from gateway_proxy.admin.api.shapes import Cursor, ListQuery, Shown, page_answer


class NamedListQuery(ListQuery):
    sort: Literal["name"] | None = Field(None, description="Absent: in the order of the settings.")


class ModelShown(Shown):
    """A name that clients may ask for."""

    name: str
    declared: bool = Field(description="Whether it stands in the settings; else the price table knows it.")
    targets: list[Any] | None = Field(description="Where it leads, in order; null for members.")
    price: dict[str, str | None] | None = Field(
        description="USD per million tokens or per unit, by class; null: unpriced."
    )
    price_source: str | None


class ModelListShown(Shown):
    data: list[ModelShown]
    next_cursor: Cursor


class ProviderShown(Shown):
    """An upstream."""

    name: str
    dialect: str
    base_url: str | None = Field(description="null for members.")
    health: Literal["up", "down", "half_open"]
    models: list[str]


class ProviderListShown(Shown):
    data: list[ProviderShown]
    next_cursor: Cursor


class ConfigShown(Shown):
    """The settings in force; each secret is `***`."""

    revision: int = Field(description="Counts the reloads since the gateway started.")
    digest: str
    source: str | None = Field(description="The file; null: the built-in defaults.")
    reload_error: str | None = Field(description="Why the last reload changed nothing; null if it worked.")
    settings: dict[str, Any]


async def list_models(call: Call[NamedListQuery, None]) -> Answer:
    return page_answer(await call.admin.catalog.models(call.actor, call.query.listing(call.query.sort)))


async def list_providers(call: Call[NamedListQuery, None]) -> Answer:
    return page_answer(await call.admin.catalog.providers(call.actor, call.query.listing(call.query.sort)))


async def show_config(call: Call[None, None]) -> Answer:
    return Answer(await call.admin.config.show(call.actor))


OPERATIONS = (
    Operation(
        method="GET", path="/models", name="listModels", summary="List models",
        handler=list_models, query=NamedListQuery, answer=ModelListShown,
    ),
    Operation(
        method="GET", path="/providers", name="listProviders", summary="List providers",
        handler=list_providers, query=NamedListQuery, answer=ProviderListShown,
    ),
    Operation(
        method="GET", path="/config", name="getConfig", summary="Show the settings in force",
        handler=show_config, answer=ConfigShown,
    ),
)  # fmt: skip
