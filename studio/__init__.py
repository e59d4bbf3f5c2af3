"""Adapt a language model to Persian, and show honestly what that gained and cost."""

__version__ = "0.1.0"
