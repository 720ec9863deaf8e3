-- What totals and top lists over weeks are read from: usage_hourly by one field alone (field: key_id | owner | model | provider), by the
-- hour (step_hours 1) and by the UTC day (24), for each owner and, under owner '*', for all of an organization (of field `owner` only so).
-- Hours are carried here when they are over; the counter `usage_sums` is the first hour that was not yet.
CREATE TABLE usage_sums (
  step_hours BIGINT NOT NULL,
  organization TEXT NOT NULL,
  field TEXT NOT NULL,
  owner TEXT NOT NULL,
  hour BIGINT NOT NULL,
  value TEXT NOT NULL,
  requests BIGINT NOT NULL,
  errors BIGINT NOT NULL,
  denied BIGINT NOT NULL,
  input_tokens BIGINT NOT NULL,
  cached_tokens BIGINT NOT NULL,
  output_tokens BIGINT NOT NULL,
  cost_nanos BIGINT NOT NULL,
  latency_ms BIGINT NOT NULL,
  PRIMARY KEY (step_hours, organization, field, owner, hour, value)
);
INSERT INTO counters (name, value) VALUES ('usage_sums', 0);
