"""Fixtures that every test may ask for."""

from __future__ import annotations

import studio.settings  # noqa: F401 - its environment must stand before torch is imported
from tests.tiny import tiny_model as tiny_model
