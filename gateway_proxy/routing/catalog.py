"""From a name that a client asks for to its targets, by the settings and the price table of one revision.

Promises exact names: what is not NFC, or has blanks or control characters, or more than 128 characters, is unknown.
Scopes of keys belong to the stages, the order of targets to `order`.
"""

import unicodedata
from collections import OrderedDict
from dataclasses import replace

from gateway_proxy.config import Config, Model, Provider, UnpricedRate
from gateway_proxy.core.catalog import ModelEntry, Plan, Target
from gateway_proxy.core.usage import Price
from gateway_proxy.pricing import PriceBook, price_from_usd

MAX_NAME_LENGTH = 128
# Names with `provider/` in front are without number: the oldest answers are forgotten.
MAX_REMEMBERED = 4096


class Catalog:
    """Every name of one revision. For one event loop: looking a name up remembers it."""

    def __init__(self, config: Config, book: PriceBook) -> None:
        self._book = book
        self._providers = {provider.name: provider for provider in config.providers}
        self._allow_undeclared = config.models_default.allow_undeclared
        self._default_price = _default_price(config)
        self._entries = {m.name: self._declared_entry(m) for m in config.models if is_model_name(m.name)}
        self._remembered: OrderedDict[str, ModelEntry] = OrderedDict()
        self._listed = self._list_names(config) if self._allow_undeclared else {}
        self._names = tuple(sorted(self._entries.keys() | self._listed.keys()))

    def resolve(self, name: str) -> ModelEntry | None:
        """The entry of a name as the client wrote it, or None for an unknown model.

        A declared name; else, where undeclared ones are allowed, `provider/model` if a provider has the name left
        of the first `/`; else a bare name in the list of a provider, or in its price table, in the order of the file.
        """
        entry = self._entries.get(name)
        if entry is not None or not self._allow_undeclared:
            return entry
        entry = self._remembered.get(name)
        if entry is not None:
            self._remembered.move_to_end(name)
            return entry
        entry = self._prefixed_entry(name)
        if entry is not None:
            self._remembered[name] = entry
            if len(self._remembered) > MAX_REMEMBERED:
                self._remembered.popitem(last=False)
            return entry
        provider = self._listed.get(name)
        if provider is not None:
            entry = self._entries[name] = self._undeclared_entry(name, provider, name)
        return entry

    def lists(self, name: str) -> bool:
        """Whether it is one of `names`, or one of them behind the name of a provider: there are finitely many."""
        if name in self._entries or name in self._listed:
            return True
        left, slash, rest = name.partition("/")
        return bool(slash) and left in self._providers and (rest in self._entries or rest in self._listed)

    def names(self) -> tuple[str, ...]:
        """All declared, listed and price-table names, sorted. Each resolves; more `provider/model` names do too."""
        return self._names

    def unpriced(self) -> list[str]:
        """Those of `names` with a target that neither the settings nor the table have a price for, sorted."""
        return [name for name in self._names if self._is_unpriced(name)]

    def _is_unpriced(self, name: str) -> bool:
        entry = self.resolve(name)
        prices = [target.price for target in entry.targets] if entry is not None else []
        return any(price is None or price is self._default_price for price in prices)

    def _prefixed_entry(self, name: str) -> ModelEntry | None:
        left, slash, model = name.partition("/")
        provider = self._providers.get(left)
        if not slash or not model or provider is None or not is_model_name(name):
            return None
        return self._undeclared_entry(name, provider, model)

    def _list_names(self, config: Config) -> dict[str, Provider]:
        """Each undeclared name with the first provider that knows it.

        A router's `openai/gpt-4o` goes to the provider `openai` where there is one: so it is only listed if that
        provider knows the rest of the name.
        """
        known = {provider.name: self._known_names(provider) for provider in config.providers}
        listed: dict[str, Provider] = {}
        for provider in config.providers:
            for name in known[provider.name]:
                left, slash, rest = name.partition("/")
                if is_model_name(name) and (not (slash and left in known) or rest in known[left]):
                    listed.setdefault(name, provider)
        return listed

    def _known_names(self, provider: Provider) -> dict[str, None]:
        table_names = self._book.names(provider.price_table_id) if provider.price_table_id else []
        return dict.fromkeys([*provider.models, *table_names])

    def _declared_entry(self, model: Model) -> ModelEntry:
        price = price_from_usd(model.price.rates(), "config") if model.price is not None else None
        targets = []
        for declared in model.targets:
            target = self._target(self._providers[declared.provider], declared.model)
            targets.append(
                replace(
                    target,
                    weight=declared.weight,
                    tier=declared.tier,
                    price=price or target.price,
                    max_parallel=declared.max_parallel,
                )
            )
        windows = [target.context_tokens for target in targets]
        known = [window for window in windows if window is not None]
        # Only a window that every target has bounds the model.
        window = max(known) if len(known) == len(windows) else None
        return ModelEntry(
            name=model.name,
            targets=tuple(targets),
            retries=model.retries,
            max_output_tokens=model.max_output_tokens if model.max_output_tokens is not None else window,
            max_input_tokens=model.max_input_tokens if model.max_input_tokens is not None else window,
            on_disconnect=model.on_disconnect,
            declared=True,
            owned_by=targets[0].provider,
            fallback=model.fallback(),
            plan=Plan(model.sticky, model.choose == "latency") if model.is_planned() else None,
            answer_tokens=model.max_output_tokens,
        )

    def _undeclared_entry(self, name: str, provider: Provider, model: str) -> ModelEntry:
        target = self._target(provider, model)
        return ModelEntry(
            name=name,
            targets=(target,),
            max_output_tokens=target.context_tokens,
            max_input_tokens=target.context_tokens,
            owned_by=provider.name,
        )

    def _target(self, provider: Provider, model: str) -> Target:
        known = self._book.lookup(provider.price_table_id, model) if provider.price_table_id else None
        price = known.price if known is not None else None
        return Target(
            provider=provider.name,
            model=model,
            price=price if price is not None else self._default_price,
            context_tokens=known.context_tokens if known is not None else None,
        )


def build_catalog(config: Config, price_book: PriceBook) -> Catalog:
    """The catalog of these settings, with prices as of the book's moment."""
    return Catalog(config, price_book)


def is_model_name(name: str) -> bool:
    """Whether this can be a model's name at all: 1 to 128 characters, NFC, no blanks, controls or invisibles."""
    if not 0 < len(name) <= MAX_NAME_LENGTH:
        return False
    if name.isascii():
        return name.isprintable() and " " not in name
    if any(unicodedata.category(character)[0] in "ZC" for character in name):
        return False
    return unicodedata.is_normalized("NFC", name)


def _default_price(config: Config) -> Price | None:
    unpriced = config.models_default.unpriced
    if isinstance(unpriced, UnpricedRate):
        return price_from_usd({"input": unpriced.input, "output": unpriced.output}, "default")
    return price_from_usd({}, "default") if unpriced == "free" else None
