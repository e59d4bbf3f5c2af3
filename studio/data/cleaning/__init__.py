"""Cleaning: a dataset judged piece by piece, with a ledger of everything that was dropped and why."""
