"""CPU per request and per streamed chunk, beside a bare aiohttp pass-through in the same run.

Each contender runs on a core of its own, load and provider on the others. Contenders alternate in rounds and every figure is a
median of rounds: on a shared machine times drift, ratios stay. CPU is user + system time of the contender's process tree, every rule on, ledger and log written.
"""

import datetime
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

from bench import subjects
from bench.figure import Figure
from bench.load import Load, Result, percentile, run_load
from bench.processes import cpu_seconds, separate_cores

KEYS = 1000
CONNECTIONS = 64
MAX_RATIO = 0.75
MAX_CHUNK_RATIO = 1.0
CHUNKS = 100


def run(short: bool) -> list[Figure]:
    """All ratios; the absolute numbers stand beside them."""
    rounds, requests = (3, 500) if short else (15, 1500)
    figures: list[Figure] = []
    with subjects.fake_provider() as upstream, _pair(upstream) as pair:
        with separate_cores(pair.pids):
            for kib in (1, 32):
                figures += _cost_figures(
                    f"{kib} KB", *_measure(pair, subjects.chat_body(kib * 1024), rounds, requests)
                )
            figures += _chunk_figures(pair, rounds=2 if short else 5, streams=40 if short else 300)
        figures += _latency_figures(pair, seconds=2 if short else 20)
    with (
        _certificate() as (cert, key),
        subjects.fake_provider("--tls-cert", cert, "--tls-key", key) as upstream,
    ):
        with _pair(upstream, cafile=cert) as pair, separate_cores(pair.pids):
            measured = _measure(pair, subjects.chat_body(1024), rounds, requests)
            figures += _cost_figures("1 KB, TLS to the provider", *measured)
    return figures


@contextmanager
def _pair(upstream: str, cafile: str | None = None) -> Iterator[SimpleNamespace]:
    with subjects.bare_proxy(upstream, cafile) as bare:
        with subjects.gateway(upstream, [subjects.EVERY_RULE] * KEYS, cafile=cafile) as gateway:
            secret, pids = gateway.secrets[KEYS // 2], (bare.pid, gateway.pid)
            yield SimpleNamespace(bare=bare, gateway=gateway, pids=pids, upstream=upstream, secret=secret)


def _send(target: SimpleNamespace, secret: str, body: bytes, **load: object) -> Result:
    headers = {"content-type": "application/json", "authorization": f"Bearer {secret}"}
    url = f"{target.url}/chat/completions"
    result = run_load(Load(url=url, body=body, headers=headers, **load))  # type: ignore[arg-type]
    failed = {status: count for status, count in result.statuses.items() if status != 200}
    if failed or result.errors:
        raise RuntimeError(f"requests failed: {failed} {dict(result.errors)}")
    return result


def _measure(
    pair: SimpleNamespace, body: bytes, rounds: int, requests: int
) -> tuple[list[float], list[float], float]:
    """CPU microseconds per request of both, per round, and the gateway's best requests/s."""
    costs: dict[str, list[float]] = {"bare": [], "gateway": []}
    best = 0.0
    for name in ("bare", "gateway"):
        _send(getattr(pair, name), pair.secret, body, connections=CONNECTIONS, requests=200)
    for _ in range(rounds):
        for name in ("bare", "gateway"):
            target = getattr(pair, name)
            before = cpu_seconds(target.pid)
            result = _send(target, pair.secret, body, connections=CONNECTIONS, requests=requests)
            costs[name].append((cpu_seconds(target.pid) - before) / requests * 1e6)
            if name == "gateway":
                best = max(best, result.requests_per_second)
    return costs["bare"], costs["gateway"], best


def _cost_figures(what: str, bare: list[float], gateway: list[float], best: float) -> list[Figure]:
    ratio = statistics.median(g / b for g, b in zip(gateway, bare, strict=True))
    return [
        Figure(
            f"CPU per request / bare aiohttp, {what}", MAX_RATIO, round(ratio, 3), "×", ratio <= MAX_RATIO
        ),
        Figure(f"CPU per request, {what}", None, round(statistics.median(gateway)), "µs", True),
        Figure(
            f"CPU per request of the bare pass-through, {what}",
            None,
            round(statistics.median(bare)),
            "µs",
            True,
        ),
        Figure(f"requests/s on one core, {what}", None, round(best), "1/s", True),
    ]


def _chunk_figures(pair: SimpleNamespace, rounds: int, streams: int) -> list[Figure]:
    body = subjects.chat_body(1024, stream=True, directive=f"[[fake: tokens={CHUNKS} delay_ms=10]]")
    costs: dict[str, list[float]] = {"bare": [], "gateway": []}
    for _ in range(rounds):
        for name in ("bare", "gateway"):
            target = getattr(pair, name)
            before = cpu_seconds(target.pid)
            result = _send(target, pair.secret, body, connections=20, requests=streams)
            costs[name].append((cpu_seconds(target.pid) - before) / result.chunks * 1e6)
    ratio = statistics.median(g / b for g, b in zip(costs["gateway"], costs["bare"], strict=True))
    return [
        Figure(
            "CPU per streamed chunk / bare aiohttp",
            MAX_CHUNK_RATIO,
            round(ratio, 3),
            "×",
            ratio <= MAX_CHUNK_RATIO,
        ),
        Figure("CPU per streamed chunk", None, round(statistics.median(costs["gateway"]), 1), "µs", True),
    ]


def _latency_figures(pair: SimpleNamespace, seconds: int) -> list[Figure]:
    """Latency that the gateway adds at 200 requests/s, open loop: through it, less what a direct call takes."""
    body = subjects.chat_body(1024)
    direct = SimpleNamespace(url=pair.upstream)
    load = {"connections": 64, "rate": 200.0, "seconds": seconds, "poisson": True}
    alone = _send(direct, "x", body, **load).latencies
    through = _send(pair.gateway, pair.secret, body, **load).latencies
    return [
        Figure(f"added latency at 200 requests/s, p{p}", None, round((percentile(through, p) - percentile(alone, p)) * 1000, 2), "ms", True)
        for p in (50, 99)
    ]  # fmt: skip


@contextmanager
def _certificate() -> Iterator[tuple[str, str]]:
    """A throwaway certificate for 127.0.0.1; yields the paths of certificate and key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench")])
    now = datetime.datetime.now(datetime.UTC)
    import ipaddress

    certificate = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        cert_path, key_path = Path(folder) / "cert.pem", Path(folder) / "key.pem"
        cert_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key_path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        yield str(cert_path), str(key_path)
