-- Ephemeral tokens leave the lists a day after they have expired.
CREATE INDEX keys_by_token_expiry ON keys (expires_at) WHERE kind = 'ephemeral';
CREATE INDEX deleted_keys_by_time ON deleted_keys (deleted_at);

-- The public halves of the pairs that sign ephemeral tokens. `believed_until` is set when a pair was replaced.
CREATE TABLE signing_keys (
  kid TEXT NOT NULL PRIMARY KEY,
  gateway_id TEXT NOT NULL,
  public_key TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  believed_until BIGINT
);
CREATE INDEX signing_keys_by_gateway ON signing_keys (gateway_id);
