-- Counters that gateways share (Redis) are believed under one epoch: a server that was lost, emptied or set back begins
-- a new one. The newest is the one with the highest number. state: gathering (not every part of a gateway has handed its
-- leases over) | ready.
CREATE TABLE shared_epochs (
  id TEXT NOT NULL PRIMARY KEY,
  number BIGINT NOT NULL UNIQUE,
  run_id TEXT NOT NULL,
  state TEXT NOT NULL,
  created_at BIGINT NOT NULL
);

-- Processes that hold leases there, with the epoch that they have handed them over into. `place` tells the processes of
-- one gateway apart; the next process in the same place has settled what the one before it left.
CREATE TABLE shared_parts (
  part TEXT NOT NULL PRIMARY KEY,
  gateway_id TEXT NOT NULL,
  place BIGINT NOT NULL,
  epoch TEXT NOT NULL,
  joined_at BIGINT NOT NULL
);
