-- What the admin API remembers: answers to requests with an Idempotency-Key, for ten minutes.
-- `digest` is a keyed hash of who asked and the header's value, `request_digest` one of what was asked; `sealed` is the
-- answer, encrypted under a key that takes the header's value to make; '' while the first request still runs.
CREATE TABLE replays (
  digest TEXT NOT NULL PRIMARY KEY,
  actor_digest TEXT NOT NULL,
  request_digest TEXT NOT NULL,
  sealed TEXT NOT NULL,
  expires_at BIGINT NOT NULL
);
CREATE INDEX replays_by_expiry ON replays (expires_at);
CREATE INDEX replays_by_actor ON replays (actor_digest);
