"""Counters that several gateways share: a limiter over Redis or Valkey, and what keeps it true to the ledger."""
