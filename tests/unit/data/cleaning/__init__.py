"""Tests of studio.data.cleaning."""
