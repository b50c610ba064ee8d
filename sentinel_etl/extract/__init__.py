"""Reads a window's rows from the source."""
