-- The definition of each MCP tool as it may be offered: the first that was seen ('' as approver), or the one approved last.
-- Servers belong to the settings of gateways; those of one organization ('*' = of all) share what is approved.
CREATE TABLE mcp_tools (
  organization TEXT NOT NULL,
  server TEXT NOT NULL,
  tool TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  definition TEXT NOT NULL,
  approved_by TEXT NOT NULL,
  approved_at BIGINT NOT NULL,
  PRIMARY KEY (organization, server, tool)
);
