-- Who may sign in, and how. Random secrets are kept as SHA-256, admin tokens as HMAC under the pepper.
CREATE INDEX members_by_email ON members (email);

-- A member without a row was invited and has not come yet; one without a hash signs in by OpenID Connect only.
CREATE TABLE member_credentials (
  member_id TEXT NOT NULL PRIMARY KEY REFERENCES members (id) ON DELETE CASCADE,
  password_hash TEXT,
  last_sign_in_at BIGINT
);

CREATE TABLE sessions (
  digest TEXT NOT NULL PRIMARY KEY,
  member_id TEXT NOT NULL REFERENCES members (id) ON DELETE CASCADE,
  created_at BIGINT NOT NULL,
  last_used_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  ip TEXT NOT NULL,
  user_agent TEXT NOT NULL
);
CREATE INDEX sessions_by_member ON sessions (member_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- kind: setup | invite | reset | enter. A row is deleted by its use. Only a set-up link has no member yet.
CREATE TABLE one_time_links (
  digest TEXT NOT NULL PRIMARY KEY,
  kind TEXT NOT NULL,
  organization TEXT NOT NULL,
  member_id TEXT REFERENCES members (id) ON DELETE CASCADE,
  expires_at BIGINT NOT NULL
);
CREATE INDEX one_time_links_by_member ON one_time_links (member_id);

-- Revoked tokens are deleted; the change log keeps what they were.
CREATE TABLE admin_tokens (
  id TEXT NOT NULL PRIMARY KEY,
  digest TEXT NOT NULL UNIQUE,
  pepper_id TEXT NOT NULL,
  preview TEXT NOT NULL,
  organization TEXT NOT NULL,
  name TEXT NOT NULL,
  role TEXT NOT NULL,
  member_id TEXT REFERENCES members (id) ON DELETE CASCADE,
  created_at BIGINT NOT NULL,
  expires_at BIGINT,
  last_used_at BIGINT
);
CREATE INDEX admin_tokens_by_member ON admin_tokens (member_id);

CREATE TABLE oidc_identities (
  issuer TEXT NOT NULL,
  member_id TEXT NOT NULL REFERENCES members (id) ON DELETE CASCADE,
  subject TEXT NOT NULL,
  linked_at BIGINT NOT NULL,
  PRIMARY KEY (issuer, member_id)
);
CREATE INDEX oidc_identities_by_subject ON oidc_identities (issuer, subject);
