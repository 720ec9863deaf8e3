"""Policy: one rule a file, plain synchronous Python over the exchange. Stages import core only."""
