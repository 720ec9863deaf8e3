"""The way to MCP servers."""
