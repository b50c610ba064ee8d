"""Compares source and warehouse where the rows lie."""
