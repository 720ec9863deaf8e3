-- Facts about the store itself: the pepper's fingerprint, the demo mark, who created it.
CREATE TABLE meta (
  name TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
);

-- Gapless sequences: a counter is raised in the transaction that uses its value.
CREATE TABLE counters (
  name TEXT NOT NULL PRIMARY KEY,
  value BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('changes', 0);

CREATE TABLE organizations (
  id TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  created_at BIGINT NOT NULL
);

CREATE TABLE members (
  id TEXT NOT NULL PRIMARY KEY,
  organization TEXT NOT NULL,
  email TEXT NOT NULL,
  name TEXT NOT NULL,
  role TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  UNIQUE (organization, email)
);

-- `search` is the case-folded name, a line feed, the case-folded preview: searched by LIKE and sorted by name.
-- `policy_json` holds limits and scopes: what is neither searched nor sorted.
CREATE TABLE keys (
  id TEXT NOT NULL PRIMARY KEY,
  organization TEXT NOT NULL,
  name TEXT NOT NULL,
  search TEXT NOT NULL,
  owner TEXT NOT NULL,
  owner_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  parent_id TEXT,
  preview TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT,
  inactive SMALLINT NOT NULL,
  revoked_at BIGINT,
  revision BIGINT NOT NULL,
  policy_json TEXT NOT NULL
);
CREATE INDEX keys_by_name ON keys (organization, search, id);
CREATE INDEX keys_by_owner ON keys (organization, owner, id);
CREATE INDEX keys_by_creation ON keys (organization, created_at, id);
CREATE INDEX keys_by_parent ON keys (parent_id) WHERE parent_id IS NOT NULL;

CREATE TABLE key_secrets (
  digest TEXT NOT NULL PRIMARY KEY,
  key_id TEXT NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
  pepper_id TEXT NOT NULL,
  expires_at BIGINT
);
CREATE INDEX key_secrets_by_key ON key_secrets (key_id);
CREATE INDEX key_secrets_by_expiry ON key_secrets (expires_at) WHERE expires_at IS NOT NULL;

-- What keeps usage and the change log readable after a key is gone.
CREATE TABLE deleted_keys (
  id TEXT NOT NULL PRIMARY KEY,
  organization TEXT NOT NULL,
  name TEXT NOT NULL,
  owner TEXT NOT NULL,
  preview TEXT NOT NULL,
  deleted_at BIGINT NOT NULL
);

-- Counted per key by the books; the row is made with the key, so that sorting by it needs no outer join.
CREATE TABLE key_stats (
  key_id TEXT NOT NULL PRIMARY KEY,
  organization TEXT NOT NULL,
  owner TEXT NOT NULL,
  requests BIGINT NOT NULL,
  last_used_at BIGINT NOT NULL,
  reserved_nanos BIGINT NOT NULL,
  spent_nanos BIGINT NOT NULL
);
CREATE INDEX key_stats_by_requests ON key_stats (requests, key_id, organization);
CREATE INDEX key_stats_by_owner ON key_stats (organization, owner);

-- Every act of an admin. `key_id` is '' where no key was touched, `subject` the id of what else was.
CREATE TABLE changes (
  seq BIGINT NOT NULL PRIMARY KEY,
  id TEXT NOT NULL,
  action TEXT NOT NULL,
  organization TEXT NOT NULL,
  key_id TEXT NOT NULL,
  subject TEXT NOT NULL,
  actor TEXT NOT NULL,
  ip TEXT NOT NULL,
  at BIGINT NOT NULL,
  details_json TEXT NOT NULL
);
CREATE INDEX changes_by_key ON changes (key_id, seq) WHERE key_id <> '';
CREATE INDEX changes_by_organization ON changes (organization, seq);

CREATE TABLE gateways (
  id TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  organization TEXT NOT NULL,
  version TEXT NOT NULL,
  started_at BIGINT NOT NULL,
  last_seen_at BIGINT NOT NULL,
  applied_seq BIGINT NOT NULL,
  config_digest TEXT NOT NULL,
  audit_head TEXT NOT NULL,
  revoked_at BIGINT
);
