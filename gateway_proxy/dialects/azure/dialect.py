"""Azure OpenAI: bodies, answers and refusals of the OpenAI dialect; deployments, a version and a key of its own in the head.

As a client's dialect it takes the model from the path, as Azure does, whatever the body says.
"""

from typing import ClassVar
from urllib.parse import quote, unquote

from gateway_proxy.core.catalog import Target
from gateway_proxy.core.dialect import Payload, UsageTap
from gateway_proxy.core.errors import BadExchange, GatewayError, ModelUnknown
from gateway_proxy.core.route import Route
from gateway_proxy.dialects.openai.dialect import ENDPOINTS, OpenAIDialect

# These name the deployment in their path; the others have it in the body only.
_WITH_DEPLOYMENT = ("/chat/", "/completions", "/embeddings", "/images/", "/audio/")
_DEPLOYMENTS = "/openai/deployments/"


class AzureDialect:
    """One instance per API version. Without a version it speaks to Azure's `/openai/v1`, which wants none."""

    name: ClassVar[str] = "azure"
    speaks: ClassVar[frozenset[str]] = frozenset(("openai", "azure"))

    def __init__(self, api_version: str = "", *, keeps: bool = True) -> None:
        self._openai = OpenAIDialect(keeps=keeps)
        self._query = f"?api-version={quote(api_version, safe='')}" if api_version else ""

    def identify(self, operation: str, path: str, body: bytes, content_type: str) -> Route:
        """`path` is `/openai/deployments/DEPLOYMENT/…`. Raises BadExchange as the OpenAI dialect does."""
        below = path.removeprefix(_DEPLOYMENTS)
        for endpoint in ENDPOINTS:
            if below.endswith(endpoint) and len(below) > len(endpoint):
                model = unquote(below.removesuffix(endpoint))
                return self._openai.identify(operation, endpoint, body, content_type, model)
        raise BadExchange("There is nothing at this path.", status=404, code="route_not_found")

    def encode(
        self, route: Route, target: Target, output_cap: int | None, modern_cap_field: bool
    ) -> tuple[Payload, str, str]:
        """As the OpenAI dialect, with the deployment in the path. Raises ModelUnknown for `.` and `..`."""
        body, content_type, path = self._openai.encode(route, target, output_cap, modern_cap_field)
        if not self._query:
            return body, content_type, f"/openai/v1{path}"
        if not path.startswith(_WITH_DEPLOYMENT):
            query = f"&{self._query[1:]}" if "?" in path else self._query
            return body, content_type, f"/openai{path}{query}"
        if target.model in (".", ".."):
            raise ModelUnknown("This name can be no deployment.", param="model")
        return body, content_type, f"{_DEPLOYMENTS}{quote(target.model, safe='')}{path}{self._query}"

    def tap(self, route: Route, streaming: bool) -> UsageTap:
        """See the OpenAI dialect."""
        return self._openai.tap(route, streaming)

    def error_body(self, error: GatewayError, request_id: str) -> bytes:
        """See the OpenAI dialect."""
        return self._openai.error_body(error, request_id)

    def error_event(self, error: GatewayError, operation: str, request_id: str) -> bytes:
        """See the OpenAI dialect."""
        return self._openai.error_event(error, operation, request_id)

    def upstream_headers(self, api_key: str | None) -> list[tuple[str, str]]:
        """The credential; none for servers that want none."""
        return [] if api_key is None else [("api-key", api_key)]
