"""Faults at random, under clients that keep a ledger: `make chaos [SECONDS=…] [SEED=…]`."""
