"""Runs the stages in order: those that need only the head first, the others once the body was read.

A guard that breaks refuses: anything that a stage raises beside a `GatewayError` becomes a refusal, with the
traceback in our log and nothing of it in the answer.
"""

import logging
from collections.abc import Sequence

from gateway_proxy.core.errors import GatewayError
from gateway_proxy.core.exchange import Exchange
from gateway_proxy.core.stage import Stage

log = logging.getLogger("gateway_proxy.pipeline")


class Pipeline:
    """An ordered list of stages. Raises ValueError when a head stage would come after a body stage."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self.stages = tuple(stages)
        needs = [stage.needs_body for stage in stages]
        if needs != sorted(needs):
            late = next(
                s.name
                for s, earlier in zip(stages[1:], stages, strict=False)
                if earlier.needs_body and not s.needs_body
            )
            raise ValueError(
                f"stage {late!r} works on the head alone and must come before the stages that need the body"
            )
        self._head = tuple(stage for stage in stages if not stage.needs_body)
        self._body = tuple(stage for stage in stages if stage.needs_body)

    def check_head(self, exchange: Exchange) -> None:
        """Raises GatewayError when the head alone is refused; the body was not read yet."""
        _check(self._head, exchange)

    def check_body(self, exchange: Exchange) -> None:
        """Raises GatewayError when the exchange is refused; otherwise it was admitted."""
        _check(self._body, exchange)


def _check(stages: tuple[Stage, ...], exchange: Exchange) -> None:
    current = None
    try:
        for stage in stages:
            current = stage
            stage.check(exchange)
    except GatewayError:
        raise
    except Exception as broken:
        name = getattr(current, "name", "?")
        log.error("stage %s broke on %s; the request is refused", name, exchange.id, exc_info=broken)
        raise GatewayError(
            "The gateway could not check this request and refused it.",
            detail=f"stage {name} broke: {type(broken).__name__}",
        ) from None
