"""Who asks for an administrative act, and how they proved it."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A signed-in member, an admin token, or the command line.

    `name` is written to the change log and the audit log: an e-mail, `token:NAME` or `cli`. `organization` is a name;
    None sees all (the command line of a gateway that serves all). `member_id` and `email` are empty for a token that
    belongs to no member. `credential_id` tells sessions and tokens apart; it is no secret.
    """

    name: str
    role: Role
    organization: str | None
    member_id: str = ""
    email: str = ""
    ip: str = ""
    credential_id: str = ""
    via: str = "session"  # session | token | cli

    @property
    def home(self) -> str:
        """The organization that what they make belongs to."""
        return self.organization or "default"
