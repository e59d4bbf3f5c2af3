"""Fixtures that every test may ask for."""

from __future__ import annotations

from tests.tiny import tiny_model as tiny_model
