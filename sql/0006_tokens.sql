-- Ephemeral tokens leave the lists a day after they have expired.
CREATE INDEX keys_by_token_expiry ON keys (expires_at) WHERE kind = 'ephemeral';
CREATE INDEX deleted_keys_by_time ON deleted_keys (deleted_at);
