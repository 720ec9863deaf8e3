"""Counts of finished requests and attempts, for metrics.

A request pays one `append` of a row that is there anyway; rows are added up in the background, some times a second.
Counts never go down. Names from clients are counted under their own name only where the catalogue lists it.
"""

from collections import Counter
from collections.abc import Callable
from operator import itemgetter

from gateway_proxy.core.ledger import LedgerRow, LogRow
from gateway_proxy.core.usage import Usage
from gateway_proxy.telemetry.exposition import Histogram, Samples

DURATIONS_MS = (
    5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000,
)  # fmt: skip
TOKEN_CLASSES = (
    "input", "cached_input", "cache_write", "cache_write_1h", "audio_input", "output", "reasoning", "audio_output",
)  # fmt: skip
SHOWN_FROM_START = (
    "budget_unverifiable", "insufficient_quota", "internal_error", "invalid_api_key", "model_unpriced", "overloaded",
    "rate_limit_exceeded", "store_stale", "upstream_auth_failed", "upstream_timeout", "upstream_unavailable",
)  # fmt: skip
"""Codes that are shown with 0 before they happen: Prometheus sees no increase in what was not there before."""
OTHER = "other"
MAX_MODELS = 500
MAX_CODES = 200
_NANOS = 1_000_000_000
_RequestLabels = tuple[str, str, str, int, str, str, bool, bool, str]
_Request = tuple[str, str, str, int, str, str, bool, bool, str, int, int | None]
"""Its labels, its latency and its first byte's in milliseconds."""
_read_request: Callable[[LogRow], _Request] = itemgetter(
    *map(
        LogRow._fields.index,
        (
            "operation",
            "model",
            "provider",
            "status",
            "error_code",
            "outcome",
            "admitted",
            "stream",
            "would_deny",
            "latency_ms",
            "first_byte_ms",
        ),
    )
)
_read_attempt: Callable[[LedgerRow], tuple[str, str, str, str, int, Usage]] = itemgetter(
    *map(
        LedgerRow._fields.index,
        ("provider", "model_requested", "outcome", "usage_source", "charged_nanos", "usage"),
    )
)


class _Requests:
    """Those with equal labels."""

    __slots__ = ("count", "durations", "first_tokens", "refusal", "shadow")

    def __init__(
        self, durations: Histogram | None, first_tokens: Histogram | None, refusal: str, shadow: str
    ) -> None:
        self.count = 0
        self.durations = durations
        self.first_tokens = first_tokens
        self.refusal = refusal
        self.shadow = shadow  # the code that a shadowed key would have been refused with


class _Attempts:
    """Those with equal labels."""

    __slots__ = ("count", "nanos", "tokens")

    def __init__(self) -> None:
        self.count = 0
        self.nanos = 0
        self.tokens = [0] * len(TOKEN_CLASSES)


class Tally:
    """Of one process; `is_listed` says whether the catalogue in force lists a model's name."""

    def __init__(self, is_listed: Callable[[str], bool]) -> None:
        self._is_listed = is_listed
        self._rows: list[LogRow] = []
        self._attempt_rows: list[LedgerRow] = []
        self.note_request = self._rows.append
        self.note_attempt = self._attempt_rows.append
        self._models = {""}
        self._codes = {""}
        # By labels: operation, provider, model, status, outcome, refusal, admitted, stream, refusal in the shadow.
        self._requests: dict[_RequestLabels, _Requests] = {}
        self._durations: dict[tuple[str, ...], Histogram] = {}
        self._first_tokens: dict[tuple[str, ...], Histogram] = {}
        # By labels: provider, model, outcome, usage source.
        self._attempts: dict[tuple[str, str, str, str], _Attempts] = {}
        # The same by what stands in a row, so that most rows need one look-up.
        self._known_requests: dict[_RequestLabels, _Requests] = {}
        self._known_attempts: dict[tuple[str, str, str, str], _Attempts] = {}

    def add_up(self) -> None:
        """Count what has ended since the last call."""
        rows, attempts = self._rows[:], self._attempt_rows[:]
        self._rows.clear()
        self._attempt_rows.clear()
        known = self._known_requests
        # Most of a quarter second are alike to the millisecond: those are counted without a step of Python each.
        for request, count in Counter(map(_read_request, rows)).items():
            latency_ms, first_byte_ms = request[-2:]
            requests = known.get(request[:-2])
            if requests is None:
                requests = self._find_requests(request[:-2])
            requests.count += count
            if (durations := requests.durations) is not None:
                durations.observe(latency_ms, count)
                if (first_tokens := requests.first_tokens) is not None and first_byte_ms is not None:
                    first_tokens.observe(first_byte_ms, count)
        for attempt in attempts:
            self._count_attempt(attempt)

    def _count_attempt(self, row: LedgerRow) -> None:
        provider, model, outcome, source, nanos, usage = _read_attempt(row)
        attempts = self._known_attempts.get((provider, model, outcome, source))
        if attempts is None:
            attempts = self._find_attempts((provider, model, outcome, source))
        attempts.count += 1
        attempts.nanos += nanos
        tokens = attempts.tokens
        tokens[0] += usage.input
        tokens[5] += usage.output
        if usage.cached_input:
            tokens[1] += usage.cached_input
        if usage.cache_write:
            tokens[2] += usage.cache_write
        if usage.cache_write_1h:
            tokens[3] += usage.cache_write_1h
        if usage.audio_input:
            tokens[4] += usage.audio_input
        if usage.reasoning:
            tokens[6] += usage.reasoning
        if usage.audio_output:
            tokens[7] += usage.audio_output

    def sample(self) -> dict[str, Samples]:
        """What was counted, by the metric's name."""
        self.add_up()
        requests: Counter[tuple[str, ...]] = Counter()
        shadows: Counter[tuple[str, ...]] = Counter()
        refusals: Counter[tuple[str, ...]] = Counter({(code,): 0 for code in SHOWN_FROM_START})
        for (operation, provider, model, status, outcome, *_), cell in self._requests.items():
            requests[operation, provider, model, str(status), outcome] += cell.count
            if cell.refusal:
                refusals[(cell.refusal,)] += cell.count
            if cell.shadow:
                shadows[(cell.shadow,)] += cell.count
        ended: Counter[tuple[str, ...]] = Counter()
        nanos: Counter[tuple[str, ...]] = Counter()
        tokens: Counter[tuple[str, ...]] = Counter()
        for (provider, model, outcome, source), spent in self._attempts.items():
            ended[provider, outcome, source] += spent.count
            nanos[provider, model] += spent.nanos
            for number, name in enumerate(TOKEN_CLASSES):
                if spent.tokens[number]:
                    tokens[provider, model, name] += spent.tokens[number]
        prefix = "gateway_proxy_"
        return {
            f"{prefix}requests_total": requests,
            f"{prefix}refusals_total": refusals,
            f"{prefix}shadow_refusals_total": shadows,
            f"{prefix}request_duration_seconds": self._durations,
            f"{prefix}time_to_first_token_seconds": self._first_tokens,
            f"{prefix}tokens_total": tokens,
            f"{prefix}cost_usd_total": {
                labels: format_nanos(sum_nanos) for labels, sum_nanos in nanos.items()
            },
            f"{prefix}attempts_total": ended,
        }

    def _find_requests(self, read: _RequestLabels) -> _Requests:
        operation, model, provider, status, code, outcome, admitted, stream, would_deny = read
        label, refusal, shadow = self._find_label(model), self._find_code(code), self._find_code(would_deny)
        labels = (operation or "none", provider, label, status, outcome, refusal, admitted, stream, shadow)
        requests = self._requests.get(labels)
        if requests is None:
            durations = first_tokens = None
            if admitted:
                where = (provider, label, "true" if stream else "false")
                durations = self._durations.setdefault(where, Histogram(DURATIONS_MS))
                if stream:
                    first_tokens = self._first_tokens.setdefault((provider, label), Histogram(DURATIONS_MS))
            requests = self._requests[labels] = _Requests(durations, first_tokens, refusal, shadow)
        if (label, refusal, shadow) == (model, code, would_deny):
            self._known_requests[read] = requests
        return requests

    def _find_attempts(self, read: tuple[str, str, str, str]) -> _Attempts:
        provider, model, outcome, source = read
        label = self._find_label(model)
        attempts = self._attempts.setdefault((provider, label, outcome, source), _Attempts())
        if label == model:
            self._known_attempts[read] = attempts
        return attempts

    def _find_code(self, code: str) -> str:
        """Plugins have codes of their own."""
        if code not in self._codes:
            if len(self._codes) > MAX_CODES:
                return OTHER
            self._codes.add(code)
        return code

    def _find_label(self, model: str) -> str:
        """A name that was counted keeps its label, also when a reload takes it out of the catalogue."""
        if model not in self._models:
            if len(self._models) > MAX_MODELS or not self._is_listed(model):
                return OTHER
            self._models.add(model)
        return model


def format_nanos(nanos: int) -> str:
    """Nano-USD in USD, exactly."""
    sign, nanos = ("-", -nanos) if nanos < 0 else ("", nanos)
    return f"{sign}{nanos // _NANOS}.{nanos % _NANOS:09d}"
