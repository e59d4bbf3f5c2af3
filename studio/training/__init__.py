"""The curriculum: from samples to token rows, through the stages, to an adapter; only workers import it."""
