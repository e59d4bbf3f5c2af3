"""How much text a job measures on."""

QUICK_TEXTS = 12
"""Stories (10 kB) on which a merge is held against its run, and start rows against their base: half the time of all of
them, and a difference of 0.5% still shows."""
