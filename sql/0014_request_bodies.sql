-- What was asked and answered, as text without secrets, where the settings have it kept. Beside the request log, so that its
-- pages stay as small; `at` is that of the request. null: there was none, or nobody got it.
CREATE TABLE request_bodies (
  request_id TEXT NOT NULL PRIMARY KEY,
  at BIGINT NOT NULL,
  request_body TEXT,
  response_body TEXT
);
CREATE INDEX request_bodies_by_time ON request_bodies (at, request_id);
