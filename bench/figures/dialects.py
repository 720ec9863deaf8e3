"""What the dialects cost: passed on as they are, each beside OpenAI's, and translated, beside the same call to a native target.

CPU of the gateway's process tree, every rule on; contenders alternate in rounds and a ratio is the median of rounds.
"""

import json
import statistics
from types import SimpleNamespace

from bench import subjects
from bench.figure import Figure
from bench.load import Load, run_load
from bench.processes import cpu_seconds

CONNECTIONS = 16
CHUNKS = 100
MAX_RATIO = 1.1
_RULES = {
    **subjects.EVERY_RULE,
    "allowed_providers": ["fake", "claude", "gem"],
    "allowed_endpoints": ["chat", "messages", "gemini"],
}
_SETTINGS = "".join(
    f"""
[[providers]]
name = "{name}"
dialect = "{dialect}"
base_url = "{{origin}}"
[[models]]
name = "bench-{name}"
targets = [{{{{ provider = "{name}", model = "bench-{name}" }}}}]
max_output_tokens = 4096
max_input_tokens = 128000
price = {{{{ input = 0.15, output = 0.60, cached_input = 0.075 }}}}
"""
    for name, dialect in (("claude", "anthropic"), ("gem", "gemini"))
)
_NATIVE = {
    "OpenAI": ("openai", "bench-model"),
    "Anthropic": ("anthropic", "bench-claude"),
    "Gemini": ("gemini", "bench-gem"),
}
_TRANSLATED = {
    "OpenAI to Anthropic": ("openai", "bench-claude"),
    "OpenAI to Gemini": ("openai", "bench-gem"),
    "Anthropic to OpenAI": ("anthropic", "bench-model"),
    "Anthropic to Gemini": ("anthropic", "bench-gem"),
}


def run(short: bool) -> list[Figure]:
    """Ratios per request and per chunk; the absolute numbers stand beside them."""
    with subjects.fake_provider() as upstream:
        extra = _SETTINGS.format(origin=upstream.removesuffix("/v1"))
        with subjects.gateway(upstream, [_RULES], extra_settings=extra) as gateway:
            requests = _measure(gateway, rounds=2 if short else 9, count=300 if short else 3000, stream=False)
            chunks = _measure(gateway, rounds=2 if short else 7, count=24 if short else 200, stream=True)
    return _describe("request", requests) + _describe("chunk", chunks)


def make_call(dialect: str, model: str, *, stream: bool) -> tuple[str, bytes]:
    """The path and the body of about 1 KB of one chat, the same in every dialect."""
    text = "x" * 800 + (f"[[fake: tokens={CHUNKS} delay_ms=4]]" if stream else "")
    if dialect == "gemini":
        body = {
            "contents": [{"role": "user", "parts": [{"text": text}]}],
            "generationConfig": {"maxOutputTokens": 256},
        }
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return f"/v1beta/models/{model}:{method}", json.dumps(body).encode()
    asked = {"model": model, "max_tokens": 256, "messages": [{"role": "user", "content": text}]}
    path = "/v1/chat/completions" if dialect == "openai" else "/v1/messages"
    return path, json.dumps({**asked, "stream": True} if stream else asked).encode()


def _measure(gateway: SimpleNamespace, *, rounds: int, count: int, stream: bool) -> dict[str, list[float]]:
    """CPU microseconds per request, or per chunk of the provider, of each contender, by round."""
    contenders = {**_NATIVE, **_TRANSLATED}
    costs: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, (dialect, model) in contenders.items():
            path, body = make_call(dialect, model, stream=stream)
            before = cpu_seconds(gateway.pid)
            _send(gateway, path, body, count // 4 if number == 0 else count)
            if number:  # the first round warms up
                units = count * CHUNKS if stream else count
                costs[name].append((cpu_seconds(gateway.pid) - before) / units * 1e6)
    return costs


def _send(gateway: SimpleNamespace, path: str, body: bytes, count: int) -> None:
    headers = {"content-type": "application/json", "authorization": f"Bearer {gateway.secrets[0]}"}
    url = gateway.url.removesuffix("/v1") + path
    result = run_load(Load(url=url, body=body, headers=headers, connections=CONNECTIONS, requests=count))
    if set(result.statuses) != {200} or result.errors:
        raise RuntimeError(f"requests failed: {dict(result.statuses)} {dict(result.errors)}")


def _describe(unit: str, costs: dict[str, list[float]]) -> list[Figure]:
    figures = []
    for name in ("Anthropic", "Gemini"):
        ratio = _ratio(costs[name], costs["OpenAI"])
        figures.append(
            Figure(
                f"CPU per {unit} of {name}'s dialect / OpenAI's", MAX_RATIO, ratio, "×", ratio <= MAX_RATIO
            )
        )
    for name, (_, model) in _TRANSLATED.items():
        native = next(other for other, (_, served) in _NATIVE.items() if served == model)
        ratio = _ratio(costs[name], costs[native])
        figures.append(
            Figure(f"CPU per {unit} translated from {name} / {native} as it is", None, ratio, "×", True)
        )
    figures += [
        Figure(f"CPU per {unit}, {name}", None, round(statistics.median(times), 1), "µs", True)
        for name, times in costs.items()
    ]
    return figures


def _ratio(ours: list[float], others: list[float]) -> float:
    return round(statistics.median(a / b for a, b in zip(ours, others, strict=True)), 3)
