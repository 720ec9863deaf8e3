-- The code that an enforced rule of a shadowed key would have answered with; '' where none would have.
ALTER TABLE request_log ADD COLUMN would_deny TEXT NOT NULL DEFAULT '';
CREATE INDEX request_log_by_would_deny ON request_log (at, seq) WHERE would_deny <> '';
