"""`/me`: who the credential makes one."""

from typing import Literal

from pydantic import Field

from gateway_proxy.admin.actor import Role
from gateway_proxy.admin.api.operation import Answer, Call, Operation
from gateway_proxy.admin.api.shapes import Shown


class MeShown(Shown):
    """Who asks."""

    name: str = Field(description="As the audit log names them.")
    email: str = Field(description="Empty for a token that belongs to no member.")
    role: Role
    via: Literal["session", "token", "cli"]
    organization: str | None = Field(description="null: all of them.")
    home: str = Field(description="The organization that what they make belongs to.")
    default_owner: str = Field(description="Whose key it is where they name nobody.")


async def show_me(call: Call[None, None]) -> Answer:
    actor = call.actor
    return Answer(
        {
            "name": actor.name,
            "email": actor.email,
            "role": actor.role.value,
            "via": actor.via,
            "organization": actor.organization,
            "home": actor.home,
            "default_owner": await call.admin.keys.default_owner(actor),
        }
    )


OPERATIONS = (
    Operation(
        method="GET", path="/me", name="getMe", summary="Who the credential makes you",
        handler=show_me, answer=MeShown,
    ),
)  # fmt: skip
