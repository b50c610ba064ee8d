"""The colours of figures and pages, and what each stands for."""

from __future__ import annotations

from sentinel_etl.ledger.nights import NightState
from sentinel_etl.ledger.states import RunState

__all__ = [
    "BEFORE",
    "DEPARTURES",
    "FAILED",
    "GRID",
    "INK",
    "MUTED",
    "NIGHT_COLOURS",
    "PALETTE",
    "SHADES",
    "TONIGHT",
    "VERDICT_COLOURS",
    "WARNED",
]

INK = "#1A1A1A"
MUTED = "#5F6368"  # what stands back: frames, notes
GRID = "#E0E0E0"

# Okabe and Ito's colours, distinct to the colour-blind (https://jfly.uni-koeln.de/color/).
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
TONIGHT = "#D55E00"
BEFORE = "#0072B2"

# From nothing, which is white as the page, to much; in even steps of lightness, and still so in grey.
SHADES = "Blues"

# From less to more than usual, which is white; orange and purple, which the colour-blind tell apart.
DEPARTURES = "PuOr_r"

VERDICT_COLOURS = {
    RunState.PUBLISHED: "#00695C",
    RunState.PUBLISHED_WITH_WARNINGS: "#8A5A00",
    RunState.DRY_RUN: "#0B5394",
}
FAILED = "#B00020"
WARNED = "#FDECEA"  # behind a flagged row of a table

# The calendar's states, as in the runs index: fill and ink. Each has its letter beside the colour.
NIGHT_COLOURS = {
    NightState.PUBLISHED: ("#CFE6F5", "#0A2E47"),
    NightState.WARNED: ("#FFD24D", "#3D2C00"),
    NightState.FAILED: ("#A3001E", "#FFFFFF"),
    NightState.STALE: ("#E7DDF3", "#2F1B4D"),
    NightState.OPEN: ("#EEF5FB", "#0A2E47"),
    NightState.LOST: ("#F6D5DA", "#6B0014"),
    NightState.EXPIRED: ("#E8E8E8", "#1A1A1A"),
    NightState.MISSING: ("#FFFFFF", "#1A1A1A"),
}
