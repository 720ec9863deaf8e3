-- Ids of what providers keep: whose they are, and where they lead back to. `origin` stands for the provider's URL.
-- Kept for 30 days.
CREATE TABLE made_ids (
  id TEXT NOT NULL PRIMARY KEY,
  owner_id TEXT NOT NULL,
  provider TEXT NOT NULL,
  origin TEXT NOT NULL,
  model TEXT NOT NULL,
  target_model TEXT NOT NULL,
  made_at BIGINT NOT NULL
);
CREATE INDEX made_ids_by_time ON made_ids (made_at);
