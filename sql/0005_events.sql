-- The last head that each gateway reported of its audit log. It outlives the gateway's own row: what was reported once is
-- held against the log for ever. `head` is seq:mac.
CREATE TABLE audit_heads (
  gateway_id TEXT NOT NULL PRIMARY KEY,
  organization TEXT NOT NULL,
  name TEXT NOT NULL,
  head TEXT NOT NULL,
  at BIGINT NOT NULL
);
