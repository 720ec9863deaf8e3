"""The data plane's route table: which path is which operation, and what dispatches upstream.

Paths are compared as they came, byte for byte: what is decided here is what is executed.
"""

from dataclasses import dataclass

OPERATIONS: dict[str, str] = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "completions",
    "/v1/responses": "responses",
    "/v1/embeddings": "embeddings",
    "/v1/moderations": "moderations",
    "/v1/images/generations": "images",
    "/v1/images/edits": "images",
    "/v1/images/variations": "images",
    "/v1/audio/speech": "audio",
    "/v1/audio/transcriptions": "audio",
    "/v1/audio/translations": "audio",
    "/v1/rerank": "rerank",
}


@dataclass(frozen=True, slots=True)
class DataRoute:
    """One path of the data plane. `operation` is set exactly where the route dispatches upstream."""

    path: str
    method: str
    operation: str | None = None


def list_routes() -> tuple[DataRoute, ...]:
    """Every route of the data plane, for the tests that hold them all to the pipeline."""
    dispatching = [DataRoute(path, "POST", operation) for path, operation in OPERATIONS.items()]
    own = [
        DataRoute(path, "GET") for path in ("/v1/models", "/v1/models/{id}", "/v1/key", "/healthz", "/readyz")
    ]
    return (*dispatching, *own)
