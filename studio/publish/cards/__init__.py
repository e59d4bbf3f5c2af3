"""Model cards: what is known of an export and its run, written down in both languages."""
