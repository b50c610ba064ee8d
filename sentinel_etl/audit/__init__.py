"""Checks the staged rows before anyone may read them, and judges the night among its kind."""
