"""Who may do what: the one place. Owners and admins everything in their organization, members their own keys,
viewers read."""

from gateway_proxy.admin.actor import Actor, Role
from gateway_proxy.admin.problem import NotAllowed

_MANAGERS = frozenset((Role.OWNER, Role.ADMIN))
_READERS = frozenset((Role.OWNER, Role.ADMIN, Role.VIEWER))


def is_manager(actor: Actor) -> bool:
    """Whether they may change everything in the organization."""
    return actor.role in _MANAGERS


def require_manager(actor: Actor, act: str) -> None:
    """Raises NotAllowed unless owner or admin. `act` completes "may not …"."""
    if actor.role not in _MANAGERS:
        raise NotAllowed(f"the role {actor.role.value} may not {act}; ask an owner or admin")


def require_reader(actor: Actor, what: str) -> None:
    """Raises NotAllowed for members, who see their own keys only."""
    if actor.role not in _READERS:
        raise NotAllowed(f"the role {actor.role.value} may not see {what}; ask an owner or admin")


def is_member(actor: Actor) -> bool:
    """Whether they see nothing but their own keys and what these did."""
    return actor.role is Role.MEMBER


def covers(role: Role, other: Role) -> bool:
    """Whether whoever has `role` may do all that `other` may. Members and viewers are each other's strangers."""
    return role is other or role is Role.OWNER or (role is Role.ADMIN and other is not Role.OWNER)


def require_owner_for(actor: Actor, role: Role, act: str) -> None:
    """Raises NotAllowed where `role` is owner and the actor is not one. `act` completes "may …"."""
    if role is Role.OWNER and actor.role is not Role.OWNER:
        raise NotAllowed(f"only an owner may {act}")


def visible_owner(actor: Actor) -> str | None:
    """The owner whose keys, logs and usage they may see; None = everybody's in the organization."""
    return actor.email if actor.role is Role.MEMBER else None


def may_read_bodies(actor: Actor, owner: str) -> bool:
    """What people wrote to a model is for whoever pays for the key and those who manage it, not for all who may read."""
    return actor.role in _MANAGERS or (actor.email != "" and actor.email == owner)


def require_key_writer(actor: Actor, owner: str) -> None:
    """Raises NotAllowed unless they may make or change a key of this owner."""
    if actor.role in _MANAGERS:
        return
    if actor.role is Role.MEMBER and actor.email and owner == actor.email:
        return
    if actor.role is Role.MEMBER:
        raise NotAllowed("only an owner or admin may manage keys of others")
    raise NotAllowed(f"the role {actor.role.value} may not change keys")
