"""Counters: token buckets, parallel slots and budgets."""
