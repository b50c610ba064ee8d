"""Texts that would run, load, break or recolour something if a report took them for more than text."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Integer, cast

from sentinel_etl.config.source_models import Remark
from sentinel_etl.pipeline import SENTINEL, Pipeline

TEXTS = {
    "a script": "<script>window.taken = 1; document.title = 'taken'; alert(1)</script>",
    "an image": '<img src=http://127.0.0.1:9/taken.png onerror="window.taken = 1; alert(1)">',
    "a way out of a cell": '"></td></tr></table></div></body><svg onload="window.taken = 1">',
    "a frame": "<iframe srcdoc=\"<script>parent.taken = 1</script>\" src='javascript:parent.taken = 1'></iframe>",
    "a style": "<style>* { display: none !important; background: url(http://127.0.0.1:9/taken.css) }</style>",
    "a link in Markdown": "[here](javascript:window.taken=1) ![x](http://127.0.0.1:9/taken.md.png) **bold** # head",
    "LaTeX": r"$\href{javascript:window.taken=1}{x}$ $$\unicode{x1F4A3}$$ \(\require{html}\) \[x^2\]",
    "ANSI codes": "\x1b[31mred\x1b[0m \x1b]8;;http://127.0.0.1:9/taken\x07link\x1b]8;;\x07 \x1b[2J\x9b31m",
    "a formula": '=HYPERLINK("http://127.0.0.1:9/taken","x") =cmd|\'/c calc\'!A1 @SUM(1) +1 -1',
    "a template": "{{ 7 * 7 }} {% for x in y %} ${window.taken = 1} %s %(x)s {0}",
    "no end": "x" * 3000,
    "an entity": "&lt;b&gt; &#x3C;script&#x3E;window.taken = 1&#x3C;/script&#x3E; \u202egnp.exe",
}

# Columns of the source that anyone may have written.
COLUMNS = {
    "remarks": ("remark_text", "media_ref"),
    "vehicle_checks": ("plate_number", "suspicion_details", "media_ref"),
    "stranger_encounters": ("name", "purpose", "id_type", "id_details", "media_ref"),
    "emergency_incidents": ("category", "media_ref"),
    "feedback": ("feedback_text",),
    "geofence_logs": ("geofence_event_type",),
    "patrol_logs": ("patrol_status",),
    "stations": ("name",),
    "officers": ("full_name",),
    "hotspots": ("name",),
}

# Every hostile category has a weight, so that it stands in the reasons that a report shows.
PIPELINE: Pipeline = replace(
    SENTINEL,
    risk_weights={"event_type": {"REMARK": 1.0}, "emergency_category": dict.fromkeys(TEXTS.values(), 5.0)},
)

REMARK = SENTINEL.event_config["REMARK"]
A_NUMBER = cast(Remark.remark_text, Integer).label("new_priority_ranking")

# The database's own error repeats the text that it could not cast.
FAILING: Pipeline = replace(
    PIPELINE,
    event_config={
        **SENTINEL.event_config,
        "REMARK": {
            **REMARK,
            "columns": [*REMARK["columns"], cast(Remark.remark_text, Integer).label("new_priority_ranking")],
        },
    },
)
