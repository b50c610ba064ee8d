"""Brings another database in: what a live table holds, and what is suggested for it."""
