"""Writes frames into staging tables."""
