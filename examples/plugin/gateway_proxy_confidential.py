"""A stage for gateway-proxy: confidential work stays at the providers that may see it."""

from gateway_proxy import Denied, Exchange, Stage


class Confidential(Stage):
    """Refuses requests that could reach other providers, if the key's metadata or a word in the text calls for it."""

    def __init__(self, providers: list[str], words: list[str] | None = None) -> None:
        if not providers:
            raise ValueError("providers must name at least one provider")
        self._providers = frozenset(providers)
        self._words = tuple(word.casefold() for word in words or ())

    def check(self, exchange: Exchange) -> None:
        marked = exchange.key is not None and exchange.key.metadata.get("data") == "confidential"
        if not marked and not self._mentions_it(exchange):
            return
        elsewhere = sorted({target.provider for target in exchange.targets} - self._providers)
        if elsewhere:
            raise Denied(
                f"Confidential work may not go to {', '.join(elsewhere)}; ask for another model.",
                code="confidential",
                param="model",
            )

    def _mentions_it(self, exchange: Exchange) -> bool:
        text = str(exchange.body).casefold() if self._words else ""
        return any(word in text for word in self._words)
