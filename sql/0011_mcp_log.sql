-- What was called at MCP servers, and what was refused. `status` is ok, error or denied; arguments and results stand here
-- only where the settings say so.
CREATE TABLE mcp_log (
  request_id TEXT NOT NULL PRIMARY KEY,
  at BIGINT NOT NULL,
  gateway_id TEXT NOT NULL,
  organization TEXT NOT NULL,
  key_id TEXT NOT NULL,
  key_name TEXT NOT NULL,
  key_revision BIGINT NOT NULL,
  owner TEXT NOT NULL,
  method TEXT NOT NULL,
  server TEXT NOT NULL,
  tool TEXT NOT NULL,
  status TEXT NOT NULL,
  rule TEXT NOT NULL,
  error_code TEXT NOT NULL,
  http_status BIGINT NOT NULL,
  duration_ms BIGINT NOT NULL,
  cost_nanos BIGINT NOT NULL,
  client_ip TEXT NOT NULL,
  arguments TEXT,
  result TEXT
);
CREATE INDEX mcp_log_by_time ON mcp_log (at, request_id);
CREATE INDEX mcp_log_by_organization ON mcp_log (organization, at, request_id);
CREATE INDEX mcp_log_by_key ON mcp_log (key_id, at, request_id);
CREATE INDEX mcp_log_by_owner ON mcp_log (owner, at, request_id);
CREATE INDEX mcp_log_by_server ON mcp_log (server, tool, at, request_id);
CREATE INDEX mcp_log_of_failures ON mcp_log (organization, at, request_id) WHERE status <> 'ok';
