"""What would become of a request: each rule's verdict, from the very stages and the very policy of real ones.

A trial is an exchange that nobody sent and that takes nothing: where a real one is refused, it notes the refusal and
goes on, so that the rules behind are judged too, as far as they can be. The first refusal is the one that a client
would see. No rule is written down here a second time, and nothing here reads a socket or a store.
"""

import inspect
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

import orjson
from multidict import CIMultiDict, CIMultiDictProxy

from gateway_proxy.core.catalog import ModelEntry, Target
from gateway_proxy.core.clock import format_time
from gateway_proxy.core.errors import GatewayError, ModelUnknown
from gateway_proxy.core.exchange import Exchange
from gateway_proxy.core.key import IpAddress
from gateway_proxy.core.limiter import BucketRule, Counters, CounterUnknown, Meter
from gateway_proxy.core.money import format_usd
from gateway_proxy.core.policy import KeyPolicy
from gateway_proxy.core.stage import Stage, WaitingStage

Word = Literal["allow", "deny", "skip"]
MCP_RULE = "mcp"
_NEEDS_TARGETS = frozenset(("provider", "price", "budget"))
_NOT_REACHED = "Cannot be judged: an earlier rule left nothing to judge."
_MESSAGES = [{"role": "user", "content": "Hello"}]
# Endpoint of a scope → dialect, path, and what the smallest request says beside its model.
_SAMPLES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "chat": ("openai", "/v1/chat/completions", {"messages": _MESSAGES}),
    "completions": ("openai", "/v1/completions", {"prompt": "Hello"}),
    "responses": ("openai", "/v1/responses", {"input": "Hello"}),
    "embeddings": ("openai", "/v1/embeddings", {"input": "Hello"}),
    "moderations": ("openai", "/v1/moderations", {"input": "Hello"}),
    "images": ("openai", "/v1/images/generations", {"prompt": "A door"}),
    "audio": ("openai", "/v1/audio/speech", {"input": "Hello", "voice": "alloy"}),
    "rerank": ("openai", "/v1/rerank", {"query": "Hello", "documents": ["Hello"]}),
    "messages": ("anthropic", "/v1/messages", {"messages": _MESSAGES, "max_tokens": 1024}),
    "gemini": ("gemini", "/v1beta/models/{model}:generateContent", {"contents": [{"parts": [{"text": "Hello"}]}]}),
}  # fmt: skip
ENDPOINTS = tuple(_SAMPLES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The request to judge: the smallest one of its endpoint. Empty is not said."""

    model: str
    endpoint: str = "chat"
    client_ip: IpAddress | None = None
    provider: str = ""
    mcp_tool: str = ""  # server/tool

    def to_json(self) -> dict[str, str]:
        """For the line to whoever has the counters."""
        shown = {
            "model": self.model,
            "endpoint": self.endpoint,
            "provider": self.provider,
            "mcp_tool": self.mcp_tool,
        }
        return shown if self.client_ip is None else shown | {"ip": str(self.client_ip)}

    @staticmethod
    def from_json(document: Mapping[str, str]) -> "Question":
        members = dict(document)
        ip = members.pop("ip", None)
        return Question(**members, client_ip=None if ip is None else ipaddress.ip_address(ip))


@dataclass(frozen=True, slots=True)
class Verdict:
    """One rule's. `code` is that of the refusal, "" without one."""

    rule: str
    verdict: Word
    code: str = ""
    detail: str = ""

    def to_json(self) -> dict[str, str]:
        return {"rule": self.rule, "verdict": self.verdict, "code": self.code, "detail": self.detail}


def explain(
    stages: Sequence[Stage | WaitingStage],
    limiter: Counters,
    policy: KeyPolicy,
    question: Question,
    now_ms: int,
) -> dict[str, Any]:
    """`{"allowed", "verdicts"}` as the admin API answers, the verdicts in the order of the pipeline.

    Rules that are shadowed are judged beside those that are enforced; what they refuse is said, and allowed.
    """
    verdicts = _judge(stages, limiter, policy, question, now_ms)
    allowed = all(verdict.verdict != "deny" for verdict in verdicts)
    if policy.shadow is not None:
        shadowed = _judge(stages, limiter, policy.shadow, question, now_ms)
        verdicts = [_join(*pair) for pair in zip(verdicts, shadowed, strict=True)]
    return {"allowed": allowed, "verdicts": [verdict.to_json() for verdict in verdicts]}


def _judge(
    stages: Sequence[Stage | WaitingStage],
    limiter: Counters,
    policy: KeyPolicy,
    question: Question,
    now_ms: int,
) -> list[Verdict]:
    trial = Trial(policy, question, now_ms)
    for stage in stages:
        trial.judge(stage, question)
    verdicts = [
        Verdict(rule, word, code, detail or _describe(rule, trial, limiter))
        for rule, word, code, detail in trial.verdicts()
    ]
    return [*verdicts, _judge_mcp(policy, question.mcp_tool)]


def _join(enforced: Verdict, shadowed: Verdict) -> Verdict:
    """One verdict of a rule that is enforced and of the same one in the shadow."""
    if enforced.verdict == "deny":
        return enforced
    if shadowed.verdict != "deny":
        return shadowed
    note = f"{shadowed.detail} The key is shadowed: the request passes, and the log notes it."
    return Verdict(shadowed.rule, "deny", shadowed.code, note)


def unknown_here() -> dict[str, Any]:
    """The same for a key that the gateway does not know, as one of another organization."""
    why = "This gateway does not know the key: it serves another organization, or has not heard of it yet."
    return {"allowed": False, "verdicts": [Verdict("status", "deny", "invalid_api_key", why).to_json()]}


class Trial(Exchange):
    """An exchange that is judged to its end, whatever refuses it."""

    def __init__(self, policy: KeyPolicy, question: Question, now_ms: int) -> None:
        dialect, path, members = _SAMPLES[question.endpoint]
        headers = CIMultiDictProxy(CIMultiDict[str]())
        super().__init__(
            "req_trial", "POST", path.format(model=quote(question.model, safe="")), question.endpoint, headers,
            question.client_ip, now_ms, 0, dialect,
        )  # fmt: skip
        named = {} if "{model}" in path else {"model": question.model}
        self.body = orjson.dumps({**named, **members})
        self.content_type = "application/json"
        self.policy = self.rules_policy = policy
        self.is_trial = True
        self.served_by: tuple[Target, ...] = ()
        self.allowed_at: tuple[Target, ...] = ()  # the price leaves fewer
        self._seen: dict[str, Verdict | None] = {}  # None: passed
        self._blind: set[str] = set()

    def refuse(self, rule: str, error: GatewayError) -> None:
        """Note the first refusal of each rule."""
        if self._seen.get(rule) is None:
            self._seen[rule] = Verdict(rule, "deny", error.code, error.public)

    def verdicts(self) -> list[tuple[str, Word, str, str]]:
        """(rule, verdict, code, detail), in the order of the stages."""
        return [
            (rule, "allow", "", "") if seen is None else (rule, seen.verdict, seen.code, seen.detail)
            for rule, seen in self._seen.items()
        ]

    def judge(self, stage: Stage | WaitingStage, question: Question) -> None:
        """Run one stage, or what it has instead for those who only want to know."""
        rules: tuple[str, ...] = getattr(stage, "rules", (stage.name,))
        first = rules[0] if rules else stage.name
        unread = stage.needs_body and self.route is None and "route" in self._seen
        for rule in rules:
            blind = unread or rule in self._blind
            self._seen[rule] = Verdict(rule, "skip", detail=_NOT_REACHED) if blind else None
        if unread or (rules and self._blind.issuperset(rules)):
            return
        if rules == ("network",) and self.client_ip is None and self.rules_policy.networks is not None:
            self._seen["network"] = Verdict("network", "skip", detail="No client address was given.")
            return
        run = getattr(stage, "probe", stage.check)
        if inspect.iscoroutinefunction(run):
            self._seen[first] = Verdict(
                first, "skip", detail="It waits for others, and only real requests do."
            )
            return
        try:
            run(self)
        except GatewayError as error:
            self.refuse(first, error)
        except Exception:  # noqa: BLE001 - a guard that breaks refuses
            self.refuse(first, GatewayError("The stage broke on this request."))
        if rules == ("route",):
            self._go_on(question)
        if "provider" in rules:
            self.allowed_at = tuple(self.targets)
        self._note_blindness()

    def _go_on(self, question: Question) -> None:
        """After the model was looked up: at the provider asked for only; without a model, with its name alone."""
        if self.route is None:
            return
        if self.model is None:
            self.model = ModelEntry(self.route.model, ())
            self._blind |= _NEEDS_TARGETS
            return
        self.served_by = self.model.targets
        if question.provider and self.targets:
            self.targets = tuple(t for t in self.targets if t.provider == question.provider)
            if not self.targets:
                self.refuse("route", _not_there(self.model.name, question.provider))
                self._blind |= _NEEDS_TARGETS

    def _note_blindness(self) -> None:
        """Nothing costs anything where no provider is left, and what has no bound cannot be paid or not."""
        if self._seen.get("provider") is not None:
            self._blind.update(("price", "budget"))
        if self._seen.get("price") is not None:
            self._blind.add("budget")


def _not_there(model: str, provider: str) -> GatewayError:
    return ModelUnknown(f"The model '{model}' has no target at the provider '{provider}'.", param="provider")


def _judge_mcp(policy: KeyPolicy, named: str) -> Verdict:
    if not named:
        return Verdict(MCP_RULE, "skip", detail="No MCP tool was named.")
    server, _, tool = named.partition("/")
    scope = policy.key.mcp
    if policy.allows_tool(server, tool):
        return Verdict(MCP_RULE, "allow", detail=f"The tool '{tool}' of the server '{server}' may be called.")
    if not scope.enabled:
        why = "MCP is off for this API key."
    elif not scope.allows_server(server):
        why = f"The access mode {scope.access_mode.value} of this API key leaves out the server '{server}'."
    elif scope.allows_tool(server, tool):
        why = f"The key that this token was made from may not call '{named}'."
    else:
        why = f"The tools of the server '{server}' that this API key may call do not include '{tool}'."
    return Verdict(MCP_RULE, "deny", code="mcp_disabled", detail=why)


def _describe(rule: str, trial: Trial, limiter: Counters) -> str:
    """Why a rule lets the request pass."""
    policy, key = trial.rules_policy, trial.rules_policy.key
    match rule:
        case "status":
            return (
                f"Active; expires {format_time(key.expires_at)}."
                if key.expires_at
                else "Active; never expires."
            )
        case "network":
            return "Any address." if policy.networks is None else f"{trial.client_ip} is in the allow-list."
        case "route":
            names = [f"{target.provider} ({target.model})" for target in trial.served_by]
            return f"Served by {', '.join(names)}."
        case "endpoint":
            return (
                "Any endpoint."
                if policy.endpoints is None
                else f"'{trial.operation}' is among those allowed."
            )
        case "model":
            return "Any model." if not _limits_models(policy) else "The name is among those allowed."
        case "provider":
            return (
                "It may go to "
                + ", ".join(dict.fromkeys(target.provider for target in trial.allowed_at))
                + "."
            )
        case "price":
            return _describe_price(trial)
        case "rate":
            return _describe_rate(trial, limiter)
        case "budget":
            return _describe_budget(trial, limiter)
    return ""


def _limits_models(policy: KeyPolicy) -> bool:
    parent = policy.parent
    return policy.exact_models is not None or (parent is not None and _limits_models(parent))


def _describe_price(trial: Trial) -> str:
    if trial.bound is None:
        return "No budget: the cost needs no bound."
    return f"It costs at most ${format_usd(trial.bound.nanos)}."


def _describe_rate(trial: Trial, limiter: Counters) -> str:
    parts = []
    for claim in trial.claims:
        if isinstance(claim.rule, BucketRule):
            state = limiter.bucket_state(claim.key_id, claim.meter, claim.rule)
            kind = "requests" if claim.meter is Meter.REQUESTS else "tokens"
            parts.append(f"{claim.amount} of {state.remaining} {kind} that are left")
        elif claim.meter is Meter.PARALLEL:
            parts.append("a slot is free")
    return f"{'; '.join(parts)}.".capitalize() if parts else "No limit."


def _describe_budget(trial: Trial, limiter: Counters) -> str:
    needed = 0 if trial.bound is None else trial.bound.nanos
    parts = [f"${format_usd(needed)} needed at most"]
    for key, _ in trial.rules_policy.budgets:
        try:
            state = limiter.budget_state(key)
        except CounterUnknown:
            state = None
        if state is not None:
            parts.append(f"${format_usd(state.remaining_nanos)} of ${format_usd(state.limit_nanos)} left")
    return f"{', '.join(parts)}." if len(parts) > 1 else "No budget."
