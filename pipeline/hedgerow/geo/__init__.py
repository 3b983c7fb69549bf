"""Grids, tiles and metres: everything about where a pixel lies, nothing about what it shows."""
