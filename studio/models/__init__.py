"""Models: from a reference to files on disk, their tokenizer and config, and at last to weights in memory."""
