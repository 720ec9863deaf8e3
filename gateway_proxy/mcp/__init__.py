"""MCP without sockets: messages, versions, names, and what a key's rule lets pass."""
