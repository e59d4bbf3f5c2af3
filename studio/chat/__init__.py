"""Talking to a base model and its adapters side by side, in a process of its own that can be ended to free memory."""
