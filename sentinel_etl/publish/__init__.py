"""Puts audited rows in the place of a window's earlier ones."""
