-- One row per attempt, append-only. `rates_json` keeps the rates it was billed at, with source and version.
CREATE TABLE ledger (
  request_id TEXT NOT NULL,
  attempt BIGINT NOT NULL,
  kind TEXT NOT NULL,
  gateway_id TEXT NOT NULL,
  organization TEXT NOT NULL,
  key_id TEXT NOT NULL,
  parent_id TEXT,
  owner TEXT NOT NULL,
  provider TEXT NOT NULL,
  model_requested TEXT NOT NULL,
  model_sent TEXT NOT NULL,
  model_reported TEXT NOT NULL,
  operation TEXT NOT NULL,
  admitted_at BIGINT NOT NULL,
  settled_at BIGINT NOT NULL,
  period TEXT NOT NULL,
  reserved_nanos BIGINT NOT NULL,
  charged_nanos BIGINT NOT NULL,
  rates_json TEXT,
  usage_source TEXT NOT NULL,
  outcome TEXT NOT NULL,
  input_tokens BIGINT NOT NULL,
  cached_input_tokens BIGINT NOT NULL,
  cache_write_tokens BIGINT NOT NULL,
  cache_write_1h_tokens BIGINT NOT NULL,
  audio_input_tokens BIGINT NOT NULL,
  output_tokens BIGINT NOT NULL,
  reasoning_tokens BIGINT NOT NULL,
  audio_output_tokens BIGINT NOT NULL,
  requests BIGINT NOT NULL,
  images BIGINT NOT NULL,
  millis BIGINT NOT NULL,
  characters BIGINT NOT NULL,
  searches BIGINT NOT NULL,
  PRIMARY KEY (request_id, attempt, kind)
);

-- Charged per key and quarter of an hour of admission (slot = admitted_at / 900000), for the key itself and for
-- its parent: what budgets are rebuilt from.
CREATE TABLE spend_slots (
  key_id TEXT NOT NULL,
  slot BIGINT NOT NULL,
  nanos BIGINT NOT NULL,
  PRIMARY KEY (key_id, slot)
);

-- hour = Unix milliseconds / 3600000. Refusals count under model and provider '', whose names a client may invent.
CREATE TABLE usage_hourly (
  hour BIGINT NOT NULL,
  organization TEXT NOT NULL,
  key_id TEXT NOT NULL,
  owner TEXT NOT NULL,
  provider TEXT NOT NULL,
  model TEXT NOT NULL,
  requests BIGINT NOT NULL,
  errors BIGINT NOT NULL,
  denied BIGINT NOT NULL,
  input_tokens BIGINT NOT NULL,
  cached_tokens BIGINT NOT NULL,
  output_tokens BIGINT NOT NULL,
  cost_nanos BIGINT NOT NULL,
  latency_ms BIGINT NOT NULL,
  PRIMARY KEY (hour, key_id, provider, model, organization, owner)
);
CREATE INDEX usage_hourly_by_key ON usage_hourly (key_id, hour);

-- What a chart over time is drawn from: by five minutes (step_ms 300000), folded into hours (3600000) when days old;
-- for each owner and, under owner '*', for all of an organization: reading it does not depend on how many keys there are.
CREATE TABLE timeline (
  step_ms BIGINT NOT NULL,
  organization TEXT NOT NULL,
  owner TEXT NOT NULL,
  start_at BIGINT NOT NULL,
  requests BIGINT NOT NULL,
  errors BIGINT NOT NULL,
  denied BIGINT NOT NULL,
  input_tokens BIGINT NOT NULL,
  output_tokens BIGINT NOT NULL,
  cost_nanos BIGINT NOT NULL,
  PRIMARY KEY (step_ms, organization, owner, start_at)
);

-- How long admitted requests took: how many fell in each bucket of core/latency.py.
CREATE TABLE timeline_latency (
  step_ms BIGINT NOT NULL,
  organization TEXT NOT NULL,
  owner TEXT NOT NULL,
  start_at BIGINT NOT NULL,
  bucket BIGINT NOT NULL,
  requests BIGINT NOT NULL,
  PRIMARY KEY (step_ms, organization, owner, start_at, bucket)
);

-- `seq` is the order of arrival here: `at` is when the request began, and long ones arrive late.
CREATE TABLE request_log (
  request_id TEXT NOT NULL PRIMARY KEY,
  seq BIGINT NOT NULL UNIQUE,
  at BIGINT NOT NULL,
  gateway_id TEXT NOT NULL,
  organization TEXT NOT NULL,
  key_id TEXT NOT NULL,
  key_name TEXT NOT NULL,
  owner TEXT NOT NULL,
  metadata_json TEXT NOT NULL,
  client_ip TEXT NOT NULL,
  client_request_id TEXT NOT NULL,
  trace_id TEXT NOT NULL,
  method TEXT NOT NULL,
  path TEXT NOT NULL,
  operation TEXT NOT NULL,
  model TEXT NOT NULL,
  provider TEXT NOT NULL,
  status BIGINT NOT NULL,
  error_code TEXT NOT NULL,
  outcome TEXT NOT NULL,
  admitted SMALLINT NOT NULL,
  stream SMALLINT NOT NULL,
  attempts BIGINT NOT NULL,
  input_tokens BIGINT NOT NULL,
  output_tokens BIGINT NOT NULL,
  cost_nanos BIGINT NOT NULL,
  latency_ms BIGINT NOT NULL,
  first_byte_ms BIGINT
);
CREATE INDEX request_log_by_time ON request_log (at, seq);
CREATE INDEX request_log_by_error ON request_log (at, seq) WHERE status >= 400;

-- In which minutes (at / 60000) a key, model, … has requests in the log: finds them at a tenth of what an index on
-- each would cost with every request. field: key_id | owner | model | provider | status | error_code | organization.
CREATE TABLE request_log_minutes (
  field TEXT NOT NULL,
  value TEXT NOT NULL,
  minute BIGINT NOT NULL,
  PRIMARY KEY (field, value, minute)
);
CREATE INDEX request_log_minutes_by_time ON request_log_minutes (minute);

-- Written once, whatever is repeated: `dedupe` names the occasion. state: pending | done | failed.
CREATE TABLE outbox (
  id TEXT NOT NULL PRIMARY KEY,
  type TEXT NOT NULL,
  at BIGINT NOT NULL,
  organization TEXT NOT NULL,
  key_id TEXT NOT NULL,
  dedupe TEXT NOT NULL UNIQUE,
  data_json TEXT NOT NULL,
  state TEXT NOT NULL,
  attempts BIGINT NOT NULL,
  next_at BIGINT NOT NULL
);
CREATE INDEX outbox_pending ON outbox (next_at, id) WHERE state = 'pending';

INSERT INTO counters (name, value) VALUES ('request_log', 0);

-- How far each gateway's spool is in the books.
CREATE TABLE spool_cursors (
  gateway_id TEXT NOT NULL PRIMARY KEY,
  segment BIGINT NOT NULL,
  position BIGINT NOT NULL
);
