"""Executes a notebook headlessly and archives it."""
