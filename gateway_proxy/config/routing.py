"""Providers, models and their prices as the file declares them.

Promises what one table can promise on its own; what tables promise each other (unique names, existing providers)
belongs to `contradictions`. Choosing a target belongs to routing at run time, price tables to `pricing`.
"""

import re
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    PlainValidator,
    Tag,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from gateway_proxy.config.credentials import HeaderSecret
from gateway_proxy.config.presets import PRESETS
from gateway_proxy.config.values import (
    AtLeastOne,
    BaseUrl,
    DialectName,
    Items,
    Name,
    Seconds,
    Section,
    ServerName,
    Usd,
    setting,
)
from gateway_proxy.core.catalog import Fallback


class Timeouts(Section):
    """How long an upstream may take, in seconds."""

    connect: Seconds = setting(5, "Seconds to open a connection, TLS included.")
    first_byte: Seconds = setting(600, "Seconds until the first byte of the answer.")
    between_bytes: Seconds = setting(300, "Seconds of silence within an answer.")


Parallel = Annotated[int, Field(ge=1, le=1_000_000)]


def _check_path(path: str) -> str:
    if path and not re.fullmatch(r"/[!-~]*", path):
        raise ValueError('must be a path; write for example "/models"')
    return path


def _preset_dialect(data: dict[str, Any]) -> str:
    preset = PRESETS.get(data.get("name", ""))
    return preset.dialect if preset else "openai"


def _preset_base_url(data: dict[str, Any]) -> str:
    preset = PRESETS.get(data.get("name", ""))
    return preset.base_url or "" if preset else ""


class Probe(Section):
    """How a provider is looked after while nobody asks: it is asked for its models, which costs nothing."""

    interval: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] = setting(
        0, "Seconds between two probes; 0 = none."
    )
    timeout: Seconds = setting(5, "Seconds to answer; after two failures in a row it is passed over.")
    path: Annotated[str, AfterValidator(_check_path)] = setting(
        "", "Path below base_url; empty = its list of models."
    )


class Provider(Section):
    """A URL and a credential speaking a dialect."""

    name: ServerName = setting(
        ..., "Unique name; a known one is a preset that fills in dialect and base_url."
    )
    dialect: DialectName = Field(
        default_factory=_preset_dialect,
        validate_default=True,
        description="The wire format it speaks; a built-in one, or the name of a plugin's.",
    )
    base_url: BaseUrl = Field(
        default_factory=_preset_base_url,
        validate_default=True,
        description="As its SDK takes it: with /v1 for OpenAI, without a version for Anthropic and Gemini.",
    )
    api_key: HeaderSecret | None = setting(
        None, "Its credential, as env:NAME or file:PATH; leave out where none is needed."
    )
    api_version: str = setting(
        "", 'Of Azure only, such as "2024-10-21"; empty = its /openai/v1, which has no versions.'
    )
    probe: Probe = setting({}, "Looks whether it is there while nobody asks.")
    max_parallel: Parallel | None = setting(None, "Attempts at once; a full provider is passed over.")
    models: Items[Name] = setting((), "Names it serves, beyond those that the price table knows.")
    timeouts: Timeouts = setting({}, "How long it may take.")
    allow_stateful: bool = setting(
        True, "Offer its stored responses; their ids are bound to the key that made them."
    )
    shared_ids: Items[Name] = setting(
        (),
        "Ids of files, vector stores, prompts in its account that every key may name; a final * is any ending.",
    )

    @field_validator("base_url")
    @classmethod
    def _require_base_url(cls, base_url: str, info: ValidationInfo) -> str:
        if not base_url and "name" in info.data:
            raise ValueError('is missing, and the name is no preset with one; write base_url = "https://…"')
        return base_url

    @field_validator("api_version")
    @classmethod
    def _check_api_version(cls, api_version: str, info: ValidationInfo) -> str:
        if api_version and info.data.get("dialect", "azure") != "azure":
            raise ValueError('is for dialect = "azure" only; leave it out')
        if not re.fullmatch(r"[0-9A-Za-z.-]{0,64}", api_version):
            raise ValueError('is no version; write for example "2024-10-21"')
        return api_version

    @property
    def price_table_id(self) -> str | None:
        """The provider's id in the price table; None unless it is a preset at the preset's own URL."""
        preset = PRESETS.get(self.name)
        if preset is None or preset.base_url != self.base_url or preset.dialect != self.dialect:
            return None
        return preset.price_table_id


class Price(Section):
    """What a model costs in USD; a unit without a price is unpriced, not free."""

    input: Usd | None = setting(None, "USD per million input tokens.")
    output: Usd | None = setting(None, "USD per million output tokens.")
    cached_input: Usd | None = setting(None, "USD per million input tokens read from the provider's cache.")
    cache_write: Usd | None = setting(None, "USD per million input tokens written to the provider's cache.")
    reasoning: Usd | None = setting(None, "USD per million reasoning tokens.")
    audio_input: Usd | None = setting(None, "USD per million audio input tokens.")
    audio_output: Usd | None = setting(None, "USD per million audio output tokens.")
    per_request: Usd | None = setting(None, "USD per request.")
    per_image: Usd | None = setting(None, "USD per image.")
    per_second: Usd | None = setting(None, "USD per second of audio or video.")
    per_character: Usd | None = setting(None, "USD per character of text to speak.")
    per_search: Usd | None = setting(None, "USD per web search.")

    @model_validator(mode="after")
    def _require_one(self) -> "Price":
        if not self.model_fields_set:
            raise ValueError("names no price; write for example { input = 2.50, output = 10 }")
        return self

    def rates(self) -> dict[str, Decimal]:
        """The units that have a price, 0 included, in USD per million tokens or per piece."""
        return {unit: rate for unit in type(self).model_fields if (rate := getattr(self, unit)) is not None}


class Target(Section):
    """One way to serve a model."""

    provider: ServerName = setting(..., "Name of one of the providers.")
    model: Name = setting(..., "The provider's own name of the model.")
    weight: Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)] = setting(
        1, "Share of the requests among targets of the same tier."
    )
    tier: int | None = setting(
        None, "Targets of the same tier are chosen by weight; others are tried in order."
    )
    max_parallel: Parallel | None = setting(None, "Attempts at once; a full target is passed over.")


def _check_sticky(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", name, re.ASCII):
        raise ValueError('must be "key", or a member of the body; write for example "prompt_cache_key"')
    return name


_FAULT_WORDS = ("connect_error", "timeout", "5xx")


def _parse_fault(fault: object) -> str | int:
    if isinstance(fault, str) and fault in _FAULT_WORDS:
        return fault
    if type(fault) is int and 400 <= fault <= 599:
        return fault
    raise ValueError('must be "connect_error", "timeout", "5xx" or a status from 400 to 599')


Fault = Annotated[
    str | int,
    PlainValidator(_parse_fault),
    WithJsonSchema(
        {"anyOf": [{"enum": [*_FAULT_WORDS]}, {"type": "integer", "minimum": 400, "maximum": 599}]}
    ),
]
StickyName = Annotated[
    str,
    AfterValidator(_check_sticky),
    WithJsonSchema({"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*(\\.[A-Za-z_][A-Za-z0-9_]*)*$"}),
]


class Model(Section):
    """A name that clients ask for."""

    name: Name = setting(..., "The name that clients ask for; unique.")
    targets: AtLeastOne[Target] = setting(
        ...,
        "Where it is served: tried in order, the next one on connect error, timeout, 408, 429 and 5xx.",
        json_schema_extra={"minItems": 1},
    )
    fallback_on: Items[Fault] = setting(
        ("connect_error", "timeout", 408, 429, "5xx"),
        'After which failures the next target is tried: "connect_error", "timeout", "5xx", single statuses.',
    )
    choose: Literal["weight", "latency"] = setting(
        "weight", "How one of a tier is chosen: by weight, or the quicker the more often."
    )
    sticky: Items[StickyName] = setting(
        (),
        'What keeps requests at one target of a tier: "key", or members of the body; the first that is there.',
    )
    retries: Annotated[int, Field(ge=0, le=10)] = setting(1, "Further attempts after the first one.")
    max_output_tokens: Annotated[int, Field(gt=0, le=2**40)] | None = setting(
        None, "Most tokens it can answer with."
    )
    max_input_tokens: Annotated[int, Field(gt=0, le=2**40)] | None = setting(None, "Most tokens it can read.")
    on_disconnect: Literal["auto", "cancel", "drain"] = setting(
        "auto",
        "When the client leaves: cancel the upstream, drain it, or drain (at most 30 s) only under a budget.",
    )
    price: Price | None = setting(None, "USD per million tokens or per piece; overrides the price table.")

    def fallback(self) -> Fallback:
        """`fallback_on` in the form that answers are compared with."""
        statuses = {fault for fault in self.fallback_on if isinstance(fault, int)}
        if "5xx" in self.fallback_on:
            statuses.update(range(500, 600))
        return Fallback(
            "connect_error" in self.fallback_on, "timeout" in self.fallback_on, frozenset(statuses)
        )

    def is_planned(self) -> bool:
        """Whether anything but weights decides among targets."""
        return bool(self.sticky) or self.choose == "latency"


class UnpricedRate(Section):
    """The rate assumed under a budget for a model without a price."""

    input: Usd = setting(..., "USD per million input tokens.")
    output: Usd = setting(..., "USD per million output tokens.")


UNION_TAGS = frozenset({"<word>", "<rate>"})
"""Parts of pydantic's error paths that no file holds."""

Unpriced = Annotated[
    Annotated[Literal["deny", "free"], Tag("<word>")] | Annotated[UnpricedRate, Tag("<rate>")],
    Discriminator(lambda value: "<rate>" if isinstance(value, dict | UnpricedRate) else "<word>"),
]


class ModelsDefault(Section):
    """What holds for models that the file does not declare."""

    unpriced: Unpriced = setting(
        "deny", "Under a budget, a model without a price: deny, free, or an assumed rate."
    )
    allow_undeclared: bool = setting(
        True, "Serve provider/model, and bare names that a provider's list or the price table knows."
    )
