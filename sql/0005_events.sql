-- The last head that each gateway reported of its audit log. It outlives the gateway's own row: what was reported once is
-- held against the log for ever. `head` is seq:mac.
CREATE TABLE audit_heads (
  gateway_id TEXT NOT NULL PRIMARY KEY,
  organization TEXT NOT NULL,
  name TEXT NOT NULL,
  head TEXT NOT NULL,
  at BIGINT NOT NULL
);

-- What the settings of the gateways name, without what may be secret, for those who look.
CREATE TABLE endpoints (
  organization TEXT NOT NULL,
  id TEXT NOT NULL,
  position BIGINT NOT NULL,
  kind TEXT NOT NULL,
  shown TEXT NOT NULL,
  events_json TEXT NOT NULL,
  PRIMARY KEY (organization, id)
);

-- An event on its way to one endpoint. `endpoint` is the id made from the settings, `shown` its name without secrets.
-- state: pending | delivered | failed. While
-- a gateway sends it, `sender` is its id and `next_at` the end of its lease.
CREATE TABLE deliveries (
  event_id TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  shown TEXT NOT NULL,
  state TEXT NOT NULL,
  attempts BIGINT NOT NULL,
  next_at BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  attempted_at BIGINT,
  status BIGINT,
  error TEXT NOT NULL,
  sender TEXT NOT NULL,
  PRIMARY KEY (event_id, endpoint)
);
CREATE INDEX deliveries_due ON deliveries (endpoint, next_at) WHERE state = 'pending';
CREATE INDEX deliveries_by_time ON deliveries (created_at, event_id, endpoint);

-- Endpoints that answered that they are gone, until somebody enables them again.
CREATE TABLE disabled_endpoints (
  endpoint TEXT NOT NULL PRIMARY KEY,
  reason TEXT NOT NULL,
  at BIGINT NOT NULL
);

CREATE INDEX keys_by_expiry ON keys (expires_at) WHERE expires_at IS NOT NULL;
