"""Benchmarks: each prints a ratio against a rival measured in the same run."""
