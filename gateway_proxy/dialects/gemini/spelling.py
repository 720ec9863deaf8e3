"""Brings a body's members to one spelling: this API takes `generationConfig` and `generation_config` alike.

Promises that afterwards a member stands in camel case and once; what two spellings say twice is refused, because two
decoders may choose differently. Only the levels that policy reads are touched.
"""

import re
from typing import Any

from gateway_proxy.core.errors import BadExchange

_SNAKE = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)+")


def spell_alike(body: dict[str, Any]) -> None:
    """Renames the members of this object, in place. Raises BadExchange (invalid_json)."""
    for name in [name for name in body if "_" in name and _SNAKE.fullmatch(name)]:
        first, *others = name.split("_")
        camel = first + "".join(part.capitalize() for part in others)
        if camel in body:
            raise BadExchange(
                f"{camel!r} stands twice, in two spellings; write it once.", code="invalid_json", param=camel
            )
        body[camel] = body.pop(name)
