"""Texts: from any file or Hub dataset to stored samples."""
