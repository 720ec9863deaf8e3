"""What is held to be the right definition of an MCP tool."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Approval:
    """One tool as it may be offered: the SHA-256 (hex) of its definition, and its JSON, empty where that is too long to be
    kept.
    """

    server: str
    tool: str
    fingerprint: str
    definition: str = ""
