"""The JSON Schema of the settings file, for editors.

Promises draft 2020-12 with a description on every setting. It shows shapes only; what needs the whole file (unique
names, existing providers, readable secrets) is found by loading.
"""

from typing import Any

from gateway_proxy.config.model import Config


def json_schema() -> dict[str, Any]:
    """The schema as a new JSON-ready dict."""
    schema = Config.model_json_schema()
    schema["title"] = "gateway-proxy settings"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
