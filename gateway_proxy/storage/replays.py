"""Answers that are kept for a while, so that a request which is sent twice is done once. Sealed before they come here."""

from dataclasses import dataclass

from gateway_proxy.storage.database import Database


@dataclass(frozen=True, slots=True)
class Replay:
    """A request that was begun before. `sealed` is its answer, "" while it still runs."""

    request_digest: str
    sealed: str


class TooManyReplays(Exception):
    """The actor has as many answers kept as may be."""


class Replays:
    """Times are Unix milliseconds; digests and answers are text."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def begin(
        self, digest: str, actor_digest: str, request_digest: str, *, now_ms: int, expires_at: int, most: int
    ) -> Replay | None:
        """Note that the request runs: None. If it was begun before: what is known of it.

        What has expired is dropped. Raises TooManyReplays beyond `most` of one actor.
        """
        async with self._db.transaction() as tx:
            await tx.execute("DELETE FROM replays WHERE expires_at <= $1", now_ms)
            row = await tx.fetch_one("SELECT request_digest, sealed FROM replays WHERE digest = $1", digest)
            if row is not None:
                return Replay(*row)
            held = await tx.fetch_one("SELECT COUNT(*) FROM replays WHERE actor_digest = $1", actor_digest)
            if held is not None and held[0] >= most:
                raise TooManyReplays
            await tx.execute(
                "INSERT INTO replays (digest, actor_digest, request_digest, sealed, expires_at)"
                " VALUES ($1, $2, $3, '', $4)",
                digest, actor_digest, request_digest, expires_at,
            )  # fmt: skip
        return None

    async def finish(self, digest: str, sealed: str) -> None:
        """Keep the answer."""
        await self._db.execute("UPDATE replays SET sealed = $2 WHERE digest = $1", digest, sealed)

    async def drop(self, digest: str) -> None:
        """Forget a request that came to nothing; it may be tried again."""
        await self._db.execute("DELETE FROM replays WHERE digest = $1", digest)
