"""The whole configuration as frozen models: exactly the tables of the TOML file, with their defaults.

Promises that every path is absolute and every secret read. Reading files belongs to `load`.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PrivateAttr

from gateway_proxy.config.credentials import (
    HeaderValue,
    NotificationUrl,
    OptionalSecret,
    Pepper,
    RedisUrl,
    StoreUrl,
    WebhookSecret,
)
from gateway_proxy.config.mcp import Mcp
from gateway_proxy.config.plugins import PluginValue
from gateway_proxy.config.routing import Model, ModelsDefault, Provider
from gateway_proxy.config.values import (
    AtLeastOne,
    BaseUrl,
    EventPattern,
    FolderPath,
    HeaderName,
    Host,
    Items,
    ListenAddress,
    Name,
    Network,
    OptionalAddress,
    OptionalFile,
    OptionalName,
    Origin,
    PluginName,
    Seconds,
    Section,
    WebUrl,
    setting,
)


class Tls(Section):
    """Certificate and key of the listener; both or none."""

    cert: OptionalFile = setting("", "PEM file with the certificate chain; empty = plain HTTP.")
    key: OptionalFile = setting("", "PEM file with the private key.")


class Server(Section):
    """Where and how the gateway listens."""

    listen: ListenAddress = setting("127.0.0.1:8080", "host:port of the data plane, dashboard and admin API.")
    admin_listen: OptionalAddress = setting("", "host:port; set: dashboard, /api and /metrics only there.")
    public_url: BaseUrl = setting("", "Address that people use, for links, OIDC and mail.")
    workers: Annotated[int, Field(ge=1, le=256)] = setting(
        1, "Processes; more than 1 needs PostgreSQL and shared.redis_url."
    )
    tls: Tls = setting({}, "Certificate and key.")
    trusted_proxies: Items[Network] = setting(
        (), "CIDRs whose X-Forwarded-For is believed, read from right to left."
    )
    allowed_hosts: Items[Host] = setting(
        (), "Hosts of dashboard, admin API and MCP; empty = listen address, localhost and public_url."
    )
    cors_origins: Items[Origin] = setting((), "Origins whose scripts may call the data plane.")
    max_body_bytes: Annotated[int, Field(gt=0, le=2**40)] = setting(33_554_432, "Largest request body.")
    drain_seconds: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] = setting(
        30, "How long running requests may take after a stop signal."
    )


class Gateway(Section):
    """Who this gateway is to the store."""

    name: OptionalName = setting("", "Shown in the list of gateways; empty = host name.")
    organization: Name = setting("default", 'Whose keys it serves; "*" = every organization in the store.')
    max_staleness_seconds: Seconds = setting(900, "Cut off from the store longer: requests are refused.")
    strict_staleness_seconds: Seconds = setting(
        30, "The same for ephemeral tokens, admin tokens, sessions and strict keys."
    )


class Storage(Section):
    """Where keys, usage and audit are kept."""

    url: StoreUrl = setting(
        "sqlite:gateway.db",
        "sqlite:PATH or postgresql://user:password@host/database; also env:NAME, file:PATH.",
    )
    data_dir: FolderPath = setting("gateway-data", "Folder of spool, local audit log and generated secrets.")

    @property
    def sqlite_path(self) -> Path | None:
        """The database file; None on PostgreSQL."""
        text = self.url.reveal()
        return Path(text.removeprefix("sqlite:")) if text.startswith("sqlite:") else None


class Shared(Section):
    """What several gateways share besides the store."""

    redis_url: RedisUrl = setting(
        "",
        "redis://, valkey://, rediss://, valkeys:// or unix:///PATH; needed by a second gateway on the store. Also env:NAME, file:PATH.",
    )


class Security(Section):
    """Secrets at rest, and how refusals look."""

    pepper: Pepper = setting(
        "file:gateway-data/pepper",
        "HMAC key for secrets at rest; a missing file is generated for an empty store.",
    )
    budget_status: Literal[429, 402] = setting(429, "HTTP status when a budget is used up.")
    hide_forbidden_models: bool = setting(
        False, "Answer 404 instead of 403 for models outside a key's scope."
    )


class StageUse(Section):
    """A plugin's stage added to the pipeline."""

    use: PluginName = setting(..., "Name of the plugin's stage.")
    before: PluginName = setting(..., "Name of the built-in stage that it runs before.")


class Pipeline(Section):
    """Additions to the built-in stages, which cannot be removed."""

    stages: Items[StageUse] = setting((), "Plugin stages to add.")


class Webhook(Section):
    """A URL that receives signed events."""

    url: WebUrl = setting(..., "Where events are posted.")
    secret: WebhookSecret = setting(..., "Signing secret (whsec_…), as env:NAME or file:PATH.")
    events: AtLeastOne[EventPattern] = setting(
        ("budget.*", "key.*"), 'Events to send; "*" = all.', json_schema_extra={"minItems": 1}
    )
    allow_private: bool = setting(False, "Also send to private, loopback and link-local addresses.")


class Notifications(Section):
    """Who hears of events."""

    urls: Items[NotificationUrl] = setting(
        (), "Notification service URLs; each may be env:NAME or file:PATH."
    )
    webhooks: Items[Webhook] = setting((), "Signed webhooks.")


class SinkUse(Section):
    """A plugin's sink that is given the finished rows."""

    use: PluginName = setting(..., "Name of the plugin's sink.")


class Logs(Section):
    """What is written about requests."""

    requests: bool = setting(True, "Keep one row for each request.")
    bodies: bool = setting(False, "Keep request and response bodies.")
    retention_days: Annotated[int, Field(ge=0, le=36_500)] = setting(30, "How long rows are kept.")
    sinks: Items[SinkUse] = setting((), "Plugins that are given the rows of requests and of the ledger.")

    @property
    def keeps_bodies(self) -> bool:
        """A body belongs to a row."""
        return self.requests and self.bodies


class Telemetry(Section):
    """OpenTelemetry traces; what is not said here comes from the environment (OTEL_…)."""

    traces: bool = setting(
        False, "Send a span for each request by OTLP over HTTP; needs gateway-proxy[otel]."
    )
    endpoint: BaseUrl = setting(
        "", "Base URL of the receiver; empty = OTEL_EXPORTER_OTLP_ENDPOINT, else http://localhost:4318."
    )
    headers: dict[HeaderName, HeaderValue] = setting(
        {}, "Headers for the receiver; values are env:NAME or file:PATH."
    )


class Oidc(Section):
    """Single sign-on for the dashboard."""

    issuer: BaseUrl = setting("", "URL of the OpenID provider; empty = off.")
    client_id: str = setting("", "The dashboard's client id there.")
    client_secret: OptionalSecret = setting("", "Its secret, as env:NAME or file:PATH.")


class Dashboard(Section):
    """The dashboard."""

    enabled: bool = setting(True, "Serve the dashboard.")
    oidc: Oidc = setting({}, "Single sign-on.")


class Config(Section):
    """All settings, immutable; a reload makes a new one."""

    server: Server = setting({}, "Where and how the gateway listens.")
    gateway: Gateway = setting({}, "Who this gateway is to the store.")
    storage: Storage = setting({}, "Where keys, usage and audit are kept.")
    shared: Shared = setting({}, "What several gateways share.")
    security: Security = setting({}, "Secrets at rest, and how refusals look.")
    pipeline: Pipeline = setting({}, "Additions to the pipeline.")
    providers: Items[Provider] = setting((), "Upstreams.")
    models: Items[Model] = setting((), "Names that clients ask for.")
    models_default: ModelsDefault = setting({}, "What holds for undeclared models.")
    mcp: Mcp = setting({}, "MCP servers.")
    notifications: Notifications = setting({}, "Who hears of events.")
    logs: Logs = setting({}, "What is written about requests.")
    dashboard: Dashboard = setting({}, "The dashboard.")
    telemetry: Telemetry = setting({}, "OpenTelemetry traces.")
    plugins: dict[PluginName, dict[str, PluginValue]] = setting(
        {}, "Settings of plugins: [plugins.NAME]; a text env:NAME or file:PATH is a secret."
    )

    _source: Path | None = PrivateAttr(default=None)
    _folder: Path = PrivateAttr(default_factory=Path.cwd)
    _digest: str = PrivateAttr(default="")
    _common_digest: str = PrivateAttr(default="")

    @property
    def source(self) -> Path | None:
        """The file these settings came from; None for the defaults or a dict."""
        return self._source

    @property
    def folder(self) -> Path:
        """The folder that relative paths were resolved against."""
        return self._folder

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the effective settings; changes with a secret too, and reveals none."""
        return self._digest

    @property
    def common_digest(self) -> str:
        """The same without what each gateway may have its own of: addresses, name, files, and how it reaches its stores."""
        return self._common_digest

    def provider(self, name: str) -> Provider | None:
        """The provider of that name."""
        return next((provider for provider in self.providers if provider.name == name), None)

    def model(self, name: str) -> Model | None:
        """The declared model of that exact name."""
        return next((model for model in self.models if model.name == name), None)

    def without_secrets(self) -> dict[str, object]:
        """The effective settings for showing, JSON-ready, with *** for each secret and credential URL."""
        return self.model_dump(mode="json")
