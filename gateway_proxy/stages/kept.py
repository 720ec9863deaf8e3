"""Ids of kept things: bound to the key that made them, and to the provider that keeps them.

A key's own ephemeral tokens share its ids, as they share its budget. Foreign and unknown ids are answered alike.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from gateway_proxy.core.catalog import ModelEntry, Target
from gateway_proxy.core.errors import BadExchange, Forbidden, NotRemembered
from gateway_proxy.core.exchange import Exchange
from gateway_proxy.core.kept import Kept, MadeId, Reference
from gateway_proxy.core.policy import KeyPolicy

RETENTION_MS = 30 * 86_400_000

FindId = Callable[[str], MadeId | None]
NoteIds = Callable[[Iterable[MadeId], bool], None]
"""New ids, and whether they last longer than this process remembers them."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """What a provider keeps: `shared` are ids, or beginnings of ids, that every key may name there."""

    origin: str
    allowed: bool = True
    shared: tuple[str, ...] = ()

    def shares(self, id: str) -> bool:
        return any(id.startswith(name[:-1]) if name.endswith("*") else id == name for name in self.shared)


class Keeper:
    """Decides about ids for the route stage."""

    def __init__(
        self, find: FindId, note: NoteIds, providers: Mapping[str, Keeping], now_ms: Callable[[], int]
    ) -> None:
        self._find = find
        self._now_ms = now_ms
        self._note = note
        self._providers = providers

    def find_made(self, exchange: Exchange, reference: Reference) -> MadeId:
        """The binding of an id. Raises BadExchange (404), NotRemembered."""
        made = self._find(reference.id)
        if made is None and not exchange.recalled:
            raise NotRemembered((reference.id,))
        policy = exchange.policy
        assert policy is not None
        if made is None or made.owner_id != owner_of(policy):
            raise unknown_id(reference)
        keeping = self._providers.get(made.provider)
        if keeping is None or keeping.origin != made.origin:
            raise unknown_id(reference)
        return made

    def model_of(self, exchange: Exchange, kept: Kept) -> ModelEntry:
        """What a request for a kept thing itself calls: the model and the target that made it. Raises as `find_made`."""
        made = self.find_made(exchange, kept.references[0])
        self._refuse_if_off(made.provider, "this")
        return ModelEntry(made.model, (Target(made.provider, made.target_model),), owned_by=made.provider)

    def narrow(self, exchange: Exchange, kept: Kept) -> None:
        """Leave the targets that hold what the request names, and that may keep what it wants kept.

        Raises BadExchange (404), Forbidden, NotRemembered.
        """
        self._listen(exchange, kept)
        targets, references = self._share(exchange.targets, kept.references)
        keeping = tuple([target for target in targets if self._providers[target.provider].allowed])
        if not keeping and targets:
            hard = next((reference.param for reference in references if not reference.soft), kept.demand)
            if hard:
                self._refuse_if_off(targets[0].provider, f"'{hard}'")
        elif references:
            targets = self._hold(exchange, references, keeping)
        elif kept.demand:
            targets = keeping
        exchange.targets = targets

    def _share(
        self, targets: tuple[Target, ...], references: list[Reference]
    ) -> tuple[tuple[Target, ...], list[Reference]]:
        """The targets at whose provider everything is that the operator shares, and the references to anything else."""
        rest = []
        for reference in references:
            sharing = [t for t in targets if self._providers[t.provider].shares(reference.id)]
            if reference.shareable and sharing:
                targets = tuple(sharing)
            else:
                rest.append(reference)
        return targets, rest

    def _listen(self, exchange: Exchange, kept: Kept) -> None:
        """From here on the ids that the answer brings are bound to the key."""
        policy, model = exchange.policy, exchange.model
        assert policy is not None and model is not None
        owner_id, name = owner_of(policy), model.name

        def note(ids: Iterable[str], lasts: bool) -> None:
            target = kept.target
            keeping = None if target is None else self._providers.get(target.provider)
            if target is None or keeping is None:
                return
            now, provider, origin = self._now_ms(), target.provider, keeping.origin
            made = [MadeId(id, owner_id, provider, origin, name, target.model, now) for id in ids]
            self._note(made, lasts and keeping.allowed)

        kept.note = note

    def _hold(
        self, exchange: Exchange, references: list[Reference], targets: tuple[Target, ...]
    ) -> tuple[Target, ...]:
        """The targets at whose provider everything that is named is."""
        missing = []
        for reference in references:
            try:
                made = self.find_made(exchange, reference)
            except NotRemembered:
                missing.append(reference.id)  # asked for together
                continue
            held = tuple([target for target in targets if target.provider == made.provider])
            if not held and targets:
                raise BadExchange(
                    f"'{reference.param}' names something that another provider keeps than the one that serves this model.",
                    code="kept_elsewhere",
                    param=reference.param,
                )
            targets = held
        if missing:
            raise NotRemembered(tuple(missing))
        return targets

    def _refuse_if_off(self, provider: str, what: str) -> None:
        if not self._providers[provider].allowed:
            raise Forbidden(
                f"The provider of this model keeps nothing for the gateway's keys, so {what} cannot be had: send the "
                "whole input, and 'store': false.",
                code="stateful_not_allowed",
            )


def owner_of(policy: KeyPolicy) -> str:
    """The key that ids belong to: a token's parent, else the key itself."""
    return policy.key.parent_id or policy.key.id


def unknown_id(reference: Reference) -> BadExchange:
    """The answer for an id that is not this key's, whether or not it is another's."""
    previous = reference.param == "previous_response_id"
    return BadExchange(
        f"Nothing that this key has had stored has the id in '{reference.param}'.",
        status=404,
        code="previous_response_not_found" if previous else "response_not_found",
        param=reference.param,
        gateway={"reason": "unknown_id"},
    )
