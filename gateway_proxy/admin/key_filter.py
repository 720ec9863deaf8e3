"""A key as people name it in a filter: by its id, which lasts, or by its present name."""

from gateway_proxy.admin.actor import Actor
from gateway_proxy.admin.problem import Invalid
from gateway_proxy.admin.roles import visible_owner
from gateway_proxy.keys.fields import FieldError
from gateway_proxy.storage.key_search import KeyQuery
from gateway_proxy.storage.store import Store

_LOOKED_AT = 200
_SHOWN_FIELDS = 50


class KeyFilter:
    """Looks only at keys that the actor may see."""

    def __init__(self, store: Store) -> None:
        self._keys = store.keys

    async def find_id(self, actor: Actor, text: str) -> str:
        """The id that the text stands for; an id is taken as it is, since keys that are gone have usage too.

        Raises Invalid at `key` where no key or several keys have the name.
        """
        if text.startswith("key_"):
            return text
        query = KeyQuery(
            organization=actor.organization,
            owner=visible_owner(actor),
            search=text,
            sort="name",
            limit=_LOOKED_AT,
        )
        page = await self._keys.search(query)
        wanted = text.casefold()
        found = [key.id for key, _ in page.keys if key.name.casefold() == wanted]
        if len(found) != 1:
            several = (
                f"{len(found)} keys have this name; use the id of one"
                if found
                else "no key has this name or id"
            )
            raise Invalid([FieldError("key", several)])
        return found[0]

    async def list_metadata_fields(self, actor: Actor) -> list[str]:
        """Names of metadata fields that the newest keys have, for suggestions."""
        query = KeyQuery(
            organization=actor.organization, owner=visible_owner(actor), descending=True, limit=_LOOKED_AT
        )
        page = await self._keys.search(query)
        names = {name for key, _ in page.keys for name in key.metadata}
        return sorted(names)[:_SHOWN_FIELDS]
