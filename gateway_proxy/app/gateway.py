"""One gateway: builds its services from the settings, owns their lifetime, and swaps the settings under load."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Sequence
from typing import Any

from gateway_proxy import __version__
from gateway_proxy.app.access import OperatorAccess
from gateway_proxy.app.attachment import Attachment
from gateway_proxy.app.audit import AuditTrail
from gateway_proxy.app.bodies import BodyBooks
from gateway_proxy.app.books import GatewayBooks
from gateway_proxy.app.extensions import Extensions
from gateway_proxy.app.follower import Follower
from gateway_proxy.app.joining import Joining
from gateway_proxy.app.limits import make_limits
from gateway_proxy.app.live_tokens import LiveTokens
from gateway_proxy.app.made_ids import IdBooks
from gateway_proxy.app.mcp import McpGate
from gateway_proxy.app.notices import make_notifier
from gateway_proxy.app.own_routes import add_own_routes
from gateway_proxy.app.part import Part
from gateway_proxy.app.probes import Probes
from gateway_proxy.app.quiet import QuietAttachment, QuietTrail
from gateway_proxy.app.runtimes import Services, build_runtime, list_fixed
from gateway_proxy.app.upkeep import keep_up
from gateway_proxy.audit.chain import derive_key
from gateway_proxy.audit.log import AuditLog
from gateway_proxy.config import Config
from gateway_proxy.core.clock import Clock
from gateway_proxy.core.policy import KeyPolicy
from gateway_proxy.core.store import KeyRecord
from gateway_proxy.core.tasks import drain, end, running, spawn
from gateway_proxy.keys.directory import KeyDirectory
from gateway_proxy.keys.gateway_id import read_gateway_id
from gateway_proxy.keys.pepper import make_private_folder
from gateway_proxy.keys.secret import Digester
from gateway_proxy.keys.service import KeyService
from gateway_proxy.keys.signing import SigningFile
from gateway_proxy.keys.token import PREFIX
from gateway_proxy.ledger.spool import Spool
from gateway_proxy.ledger.writer import BooksWriter
from gateway_proxy.notify.endpoints import list_endpoints
from gateway_proxy.proxy.handler import DataPlane
from gateway_proxy.proxy.minting import TokenMint
from gateway_proxy.proxy.settle import GatewayIdentity, Settlement
from gateway_proxy.routing.breaker import Breakers
from gateway_proxy.stages.rate import LearnedOutput
from gateway_proxy.storage import Store
from gateway_proxy.storage.database import StoreError
from gateway_proxy.storage.registry import Gateway as GatewayRecord
from gateway_proxy.telemetry.pulse import Pulse
from gateway_proxy.telemetry.spans import Server
from gateway_proxy.telemetry.tally import Tally
from gateway_proxy.telemetry.tracing import Tracing

log = logging.getLogger("gateway_proxy.gateway")


class Gateway:
    """Open it once, serve its data plane, close it once."""

    spool: Spool  # these two come with `open`
    writer: BooksWriter

    def __init__(
        self,
        config: Config,
        store: Store,
        pepper: bytes,
        clock: Clock | None = None,
        part: Part | None = None,
    ) -> None:
        self.config = self._started_with = config
        self.part = part or Part()
        self.clock = clock or Clock()
        self.store = store
        self.directory = KeyDirectory()
        self.limits = make_limits(config, store, self.clock)
        self.limiter = self.limits.limiter
        self.live_tokens = LiveTokens(store.keys, self.directory, self.limiter, self.clock)
        self.tokens = self.live_tokens.directory
        self.breakers = Breakers(self.clock)
        self.made_ids = IdBooks(store.made_ids, self.clock)
        self.bodies = BodyBooks(store.bodies)
        self.probes = Probes(self.breakers)
        self.revision = 1
        self.reload_error = ""
        self.draining = False
        self._digester = Digester(pepper)
        self._pepper = pepper
        self._organization = config.gateway.organization
        self.access = OperatorAccess(store.identity, self.clock, pepper, config.gateway.organization)
        self.started_at = self.applied_at = self.clock.now_ms()
        attach = Attachment if self.part.is_first else QuietAttachment
        self.attachment = attach(
            store.registry,
            self.clock,
            self._describe,
            synced_ns=lambda: self.follower.synced_ns,
            on_revoked=self._end_all,
        )
        self._take_staleness(config)
        self._reported_seq = 0
        self._tasks: list[asyncio.Task[Any]] = []
        self.on_applied: Callable[[], None] = lambda: None  # new settings are in force
        self.extensions = Extensions(self.clock)
        self.reloading = asyncio.Lock()  # held from reading the file until its settings are in force

    async def open(self) -> None:
        """Recover the books, load the keys, build the first runtime. Where the store is out of reach, from the snapshot.

        Raises StoreError, SpoolUnavailable, ValueError, and ConfigError for a plugin that cannot be used.
        """
        config = self.config
        make_private_folder(config.storage.data_dir)
        self.id = read_gateway_id(config.storage.data_dir)
        self.joining = Joining(self, self._pepper)
        recalled = await self.joining.recall()
        if recalled is None:
            await self.limits.refuse_company(await self.attachment.list_company(self.id), self.id)
        self.limits.begin(self.id, self.part.number, self.part.count)
        await self.joining.open_books()
        self.pulse = Pulse(Tally(self._lists_model))
        self.tracing = Tracing(self._find_server, self.id)
        self.books = GatewayBooks(self.writer, self.limiter, self.directory, self.clock, self.pulse.tally)
        learned = LearnedOutput()
        self.services = self._make_services(learned)
        self.runtime = await asyncio.to_thread(build_runtime, config, self.revision, self.services, None)
        identity = GatewayIdentity(self.id, config.gateway.organization)
        self.settlement = Settlement(self.books, self.limiter, learned, self.clock, identity)
        self.plane = self._make_plane()
        self.mcp = McpGate(self.plane, self.settlement, self.services, self._pepper, self.store, identity)
        await self._trace(config)
        self.audit = self._make_audit()
        self.notifier = make_notifier(
            self.part, self.store, self.clock, self.breakers, self.id, self._organization
        )
        self._put_in_force(config)
        self.follower = Follower(
            self.store.keys,
            self.directory,
            self.clock,
            prepare=self._prepare_keys,
            end_keys=self._end_keys,
            acknowledge=self._acknowledge,
            kept=self.joining.keeping,
        )
        self._add_own_routes()
        if recalled is None:
            await self.joining.load()
        else:
            await self.joining.resume(*recalled)
        self.part.on_news = self._hear_others
        self._tasks = [
            spawn(self.part.tell_again(self._tell_others), "tell the other workers"),
            spawn(self.joining.follow(), "follow the change log"),
            spawn(self.attachment.run(), "heartbeat"),
            spawn(self.made_ids.run(), "write the ids of stored responses"),
            spawn(self.bodies.run(), "write bodies"),
            spawn(self.audit.run(), "write the audit log"),
            spawn(self.notifier.run(), "notify"),
            spawn(keep_up(self), "maintenance"),
            spawn(self.pulse.run(), "add up metrics"),
            spawn(self.tracing.run(), "hand on spans"),
        ]
        if self.joining.keeping is not None:
            self._tasks.append(spawn(self.joining.keeping.run(), "keep the snapshot"))

    def _make_plane(self) -> DataPlane:
        plane = DataPlane(self.runtime, self.settlement, self.limiter, self.clock)
        plane.is_barred, plane.explain_bar = self.attachment.is_barred, self.attachment.explain
        plane.refresh = self.limits.refresh
        plane.recall, plane.form_folder = self.made_ids.recall, self.config.storage.data_dir
        plane.relay.find_policy = self.directory.policy
        return plane

    def _add_own_routes(self) -> None:
        signing = SigningFile(self.config.storage.data_dir)
        service = KeyService(self.store.keys, self.clock, self._pepper, signing=signing)
        add_own_routes(self.plane, self.limiter, TokenMint(service, self._reach, self._find_end))

    def _make_services(self, learned: LearnedOutput) -> Services:
        return Services(
            clock=self.clock,
            limiter=self.limiter,
            learned=learned,
            breakers=self.breakers,
            find_key=self._find_key,
            books_open=lambda: self.writer.healthy,
            find_id=self.made_ids.find,
            note_ids=self.made_ids.note,
        )

    async def drain(self, most_seconds: float | None = None) -> None:
        """Let running exchanges finish for so long, by default `drain_seconds`, then end them."""
        self.draining = True
        self.mcp.end_streams()
        seconds = self.config.server.drain_seconds if most_seconds is None else most_seconds
        await self._wait_until_idle(seconds)
        self.plane.sweeper.end_all()
        await self._wait_until_idle(2)

    async def _wait_until_idle(self, most_seconds: float) -> None:
        deadline = asyncio.get_running_loop().time() + most_seconds
        while self.plane.sweeper.runs and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.02)

    async def close(self, drain_seconds: float | None = None) -> None:
        """Let running exchanges finish, then end them; write the books to the end."""
        await self.drain(drain_seconds)
        await end(self._tasks)
        with contextlib.suppress(StoreError):
            await self.notifier.close()
        await self.probes.close()
        await self.mcp.close()
        await self.extensions.close()
        await self.made_ids.close()
        await self.bodies.close()
        await self.tracing.close()
        await self.writer.stop()  # it runs until it is told to end: waiting for it first would wait in vain
        await self.limits.close()
        await drain(5)
        await self.joining.close()
        await asyncio.to_thread(self.audit.log.close)  # after what a cancelled task left it to write
        self.spool.close()
        for link in self.runtime.links.values():
            await link.close()
        with contextlib.suppress(StoreError):
            await self.attachment.leave(stays=self.part.hands_over)

    async def apply(self, config: Config) -> None:
        """Put new settings in force for requests from now on. Raises ValueError and changes nothing.

        Whoever calls it holds `reloading`.
        """
        before = self.runtime
        runtime = await asyncio.to_thread(build_runtime, config, self.revision + 1, self.services, before)
        await self._trace(config)
        for what, old, new in list_fixed(self._started_with, config):
            if old != new:
                log.warning("%s was changed in the file; it takes effect at the next start", what)
        self.config, self.revision, self.reload_error = config, runtime.revision, ""
        self.applied_at = self.clock.now_ms()
        self._take_staleness(config)
        self.runtime = self.plane.runtime = runtime
        self._put_in_force(config)
        for name, link in before.links.items():
            if runtime.links.get(name) is not link:
                spawn(link.close_when_idle(), "close a retired provider's connections")
        self.on_applied()
        log.info("configuration revision %d is in force (digest %s)", self.revision, config.digest[:12])

    def _put_in_force(self, config: Config) -> None:
        """Tell everybody beside the data plane of the runtime's plugins, and of the settings."""
        self.extensions.apply(self.runtime.plugins)
        self.books.share(self.extensions.tee, keep_logs=config.logs.requests)
        self.bodies.configure(config.logs.keeps_bodies, self.plane)
        self.mcp.apply(config, self.runtime.plugins)
        self.notifier.configure(list_endpoints(config.notifications, self._pepper))
        self.probes.configure(config, self.runtime.links)

    async def _trace(self, config: Config) -> None:
        await self.tracing.configure(config.telemetry)
        self.plane.begin_trace, self.settlement.end_trace = self.tracing.hooks

    def _find_server(self, provider: str) -> Server | None:
        link = self.runtime.links.get(provider)
        return None if link is None else Server(link.origin.host, link.origin.port, link.dialect.name)

    def describe_readiness(self) -> tuple[bool, dict[str, Any]]:
        """Whether this gateway can do all of its work, and what an operator wants to know."""
        problems = self._own_problems() + self.part.problems()
        details = {
            "version": __version__,
            "gateway": self.id,
            "workers": self.part.describe(),
            "problems": problems,
            "config": {
                "revision": self.revision,
                "digest": self.config.digest,
                "reload_error": self.reload_error or None,
            },
            "keys": len(self.directory),
            "running": len(self.plane.sweeper.runs),
            "tasks": running(),
            "store": {"takes_rows": self.writer.store_healthy, "waiting": self.writer.unsent},
            "audit": self.audit.describe(),
            "shared": self.limits.describe(),
            "providers": {name: link.pool.stats()._asdict() for name, link in self.runtime.links.items()},
        }
        return not problems, details

    def _own_problems(self) -> list[str]:
        problems = self.attachment.problems()
        if self.draining:
            problems.append("shutting down")
        if not self.writer.healthy:
            problems.append("the spool cannot be written: keys with a budget are refused")
        return problems

    def _tell_others(self) -> None:
        # One that hands over takes no new requests, and the others serve them.
        self.part.tell_state(self.follower.seq, [] if self.part.hands_over else self._own_problems())

    def _hear_others(self) -> None:
        if self.part.is_first and self.part.floor(self.follower.seq) > self._reported_seq:
            spawn(self._report(), "report what all workers have applied")

    async def _report(self) -> None:
        with contextlib.suppress(StoreError):  # the next heartbeat says it
            await self.attachment.report()

    def _find_key(self, secret: str, now_ms: int) -> KeyPolicy | None:
        digest = self._digester.digest(secret)
        policy = self.directory.find(digest, now_ms)
        if policy is None and secret.startswith(PREFIX):
            policy = self.tokens.find(digest, secret, now_ms)
        if policy is None or self._organization in ("*", policy.key.organization):
            return policy
        return None  # another organization's key is unknown here

    def _find_end(self, secret: str) -> int | None:
        return self.directory.end_of(self._digester.digest(secret))

    def _lists_model(self, name: str) -> bool:
        return self.runtime.catalog.lists(name)

    def _take_staleness(self, config: Config) -> None:
        self.attachment.configure(config)
        self.access.staleness_seconds = config.gateway.strict_staleness_seconds

    def _end_all(self) -> None:
        self.plane.sweeper.end_all()

    def _end_keys(self, key_ids: frozenset[str]) -> None:
        """What runs on these keys ends, and tokens that were signed for them are believed no more."""
        self.live_tokens.bury(key_ids)
        self.plane.sweeper.end_key(key_ids)

    async def _prepare_keys(self, records: Sequence[KeyRecord]) -> None:
        """Make the counters of these keys ready for their new revision, and what verifies tokens."""
        await self.live_tokens.prepare(records)
        await self.limits.prepare(records, self.writer)

    async def _reach(self, seq: int, organization: str) -> None:
        """Return when the change is in force here and on every attached gateway, or after a second."""
        await self.follower.reach(seq)
        if self.store.db.dialect != "sqlite":  # which one process has to itself
            await self.attachment.reach_all(seq, organization)

    async def _acknowledge(self, seq: int) -> None:
        self.books.collect_events()  # an edit alone can put the spend beyond a threshold
        self.audit.wake()
        self.notifier.wake()
        self.mcp.servers.wake()
        self._tell_others()
        await self.attachment.report()

    def _describe(self) -> GatewayRecord:
        config, self._reported_seq = self.config, self.part.floor(self.follower.seq)
        return GatewayRecord(
            id=self.id,
            name=config.gateway.name or socket.gethostname(),
            organization=config.gateway.organization,
            version=__version__,
            started_at=self.started_at,
            last_seen_at=self.clock.now_ms(),
            applied_seq=self._reported_seq,
            config_digest=config.common_digest,
            audit_head=self.audit.head,
            providers=tuple(
                (provider.name, self.breakers.health(provider.name)) for provider in config.providers
            ),
        )

    def _make_audit(self) -> AuditTrail | QuietTrail:
        if not self.part.is_first:
            return QuietTrail()
        folder = self.config.storage.data_dir / "audit" / self.id
        audit_log = AuditLog(folder, derive_key(self._pepper, self.id), self.id, self.clock)
        return AuditTrail(audit_log, self.store, self.id, self._organization, self.attachment.report)
