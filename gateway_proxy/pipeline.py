"""Runs the stages in order: those that need only the head first, the others once the body was read.

A guard that breaks refuses: anything that a stage raises beside a `GatewayError` becomes a refusal, with the
traceback in our log and nothing of it in the answer.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from inspect import iscoroutinefunction
from typing import cast

from gateway_proxy.core.errors import GatewayError
from gateway_proxy.core.exchange import Exchange
from gateway_proxy.core.stage import Stage, WaitingStage

log = logging.getLogger("gateway_proxy.pipeline")

Stages = Sequence[Stage | WaitingStage]
Check = Callable[[Exchange], Awaitable[None] | None]
PromptCheck = Callable[[Exchange], None]


class Pipeline:
    """An ordered list of stages. Raises ValueError when a head stage would come after a body stage.

    `check_head` and `check_body` raise GatewayError when the exchange is refused; after `check_body` it was admitted.
    They return None, or where one of their stages must wait, what the caller has to await once the client's secret
    stands in the exchange: a key is authenticated anew after each wait.
    """

    def __init__(self, stages: Stages) -> None:
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
        authenticate = [cast("Stage", stage) for stage in stages if stage.name == "authenticate"]
        self._again = again = _compile_prompt(authenticate[:1])
        self.check_head = _compile([stage for stage in stages if not stage.needs_body], again)
        self.check_body = _compile([stage for stage in stages if stage.needs_body], again)

    def check_again(self, exchange: Exchange) -> None:
        """Whether the key is still good after a wait, by the secret in the exchange; its rules stay those of the start."""
        _check_again(self._again, exchange)


def _compile(stages: Stages, again: PromptCheck) -> Check:
    """Without a stage that waits nothing of waiting is left in what runs for each request."""
    first = next((i for i, stage in enumerate(stages) if iscoroutinefunction(stage.check)), len(stages))
    check_prompt = _compile_prompt(cast("Sequence[Stage]", stages[:first]))
    if first == len(stages):
        return check_prompt
    rest = tuple(stages[first:])

    def check(exchange: Exchange) -> Awaitable[None]:
        secret = exchange.secret
        check_prompt(exchange)
        return _check_waiting(rest, again, exchange, secret)

    return check


def _compile_prompt(stages: Sequence[Stage]) -> PromptCheck:
    # Bound here: finding a method on object after object of another type costs more than many a stage does.
    checks = tuple([(stage.check, stage) for stage in stages])

    def check(exchange: Exchange) -> None:
        stage = None
        try:
            for judge, stage in checks:  # noqa: B007 - the one that breaks is named
                judge(exchange)
        except GatewayError:
            raise
        except Exception as broken:  # noqa: BLE001 - a guard that breaks refuses
            raise _refuse(stage, exchange, broken) from None

    return check


async def _check_waiting(
    stages: tuple[Stage | WaitingStage, ...], again: PromptCheck, exchange: Exchange, secret: str | None
) -> None:
    secret = secret or exchange.secret
    for stage in stages:
        try:
            waiting = stage.check(exchange)
            if waiting is None:
                continue
            await waiting
        except GatewayError:
            raise
        except Exception as broken:  # noqa: BLE001 - as above
            raise _refuse(stage, exchange, broken) from None
        exchange.secret = secret
        _check_again(again, exchange)  # the key may have been revoked meanwhile
    exchange.secret = None


def _check_again(again: PromptCheck, exchange: Exchange) -> None:
    policy = exchange.policy
    if policy is not None:
        again(exchange)
        exchange.policy = policy


def _refuse(stage: Stage | WaitingStage | None, exchange: Exchange, broken: Exception) -> GatewayError:
    name = getattr(stage, "name", "?")
    log.error("stage %s broke on %s; the request is refused", name, exchange.id, exc_info=broken)
    return GatewayError(
        "The gateway could not check this request and refused it.",
        detail=f"stage {name} broke: {type(broken).__name__}",
    )
