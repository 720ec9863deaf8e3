"""Keys: their secrets, their rules, their life. Decisions are plain Python; only the service talks to a store."""
