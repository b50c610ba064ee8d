"""Finds what differs between two sets of fact rows: what a run changes against what readers see."""
