"""How a report's page looks: by day and by night, on a desk, on a phone and on paper.

A page has the styles that it uses and no others: what nbconvert would put into it are JupyterLab's, 263 KB of them.
"""

from __future__ import annotations

from sentinel_etl.ledger.states import RunState
from sentinel_etl.report.colours import FAILED, INK, MUTED, VERDICT_COLOURS, WARNED

__all__ = ["THEME_COLOURS", "TINTS", "page_style"]

# Each part's colour by day and by night. Texts stand out from what is behind them by 4.5 to 1 or more:
# https://www.w3.org/TR/WCAG22/#contrast-minimum
THEME = {
    "surface": ("#FFFFFF", "#141414"),
    "ink": (INK, "#E6E6E6"),
    "muted": (MUTED, "#A9AFB5"),
    "line": ("#E0E0E0", "#3A3D40"),
    "edge": ("#767676", "#8A8F94"),
    "code": ("#F2F2F2", "#242628"),
    "link": ("#0B4F8A", "#8CC4F5"),
    "stripe": ("rgba(0, 0, 0, .036)", "rgba(255, 255, 255, .06)"),
    "flag": ("rgba(225, 40, 20, .088)", "rgba(255, 90, 70, .24)"),
    "shade": ("rgba(0, 0, 0, .28)", "rgba(255, 255, 255, .38)"),
    "failed": (FAILED, "#FF8F8F"),
    "published": (VERDICT_COLOURS[RunState.PUBLISHED], "#5CCBB8"),
    "warned": (VERDICT_COLOURS[RunState.PUBLISHED_WITH_WARNINGS], "#EDB54A"),
    "dry": (VERDICT_COLOURS[RunState.DRY_RUN], "#8CC4F5"),
    "keyword": ("#7A1FA2", "#D7A6F0"),
    "string": ("#8A3B00", "#F0B98A"),
    "comment": ("#4A6B4A", "#9CC79C"),
    "number": ("#0B5394", "#8CC4F5"),
}

# What the reports' own colours stand for, whatever they are written on: a colour, and the part that it has.
THEME_COLOURS = {
    THEME[part][0].lower(): f"var(--{part})"
    for part in ("surface", "ink", "muted", "line", "failed", "published", "warned", "dry")
}

# Rows are tints: the shades at a wide table's edges are behind them.
TINTS = {"#ffffff": "transparent", "#f6f6f6": "var(--stripe)", WARNED.lower(): "var(--flag)"}

BASE = """
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 80rem; padding: .5rem 1.25rem 3rem; color: var(--ink); background: var(--surface);
  font: 14px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1, h2, h3, h4 { line-height: 1.25; margin: 1.6rem 0 .4rem; }
h1 { font-size: 1.6rem; margin-top: .4rem; } h2 { font-size: 1.3rem; } h3 { font-size: 1.1rem; }
p { margin: .4rem 0 .6rem; max-width: 62rem; overflow-wrap: anywhere; }
a { color: var(--link); }
code, pre { font: .92em/1.45 ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
code { background: var(--code); padding: .1em .3em; overflow-wrap: anywhere; }
pre { margin: .3rem 0; white-space: pre-wrap; overflow-wrap: anywhere; }
summary { cursor: pointer; padding: .15rem 0; }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.anchor-link { display: none; }
.jp-Cell { margin: .5rem 0; }
.jp-OutputArea-output { overflow-wrap: break-word; }
.as-made { color: #1A1A1A; background: #FFFFFF; color-scheme: light; padding: .2rem .4rem; overflow-x: auto; }
.jp-RenderedImage img, .jp-RenderedSVG img { display: block; max-width: 100%; height: auto; background: #FFFFFF; }
"""

# A table that is wider than the page scrolls within itself. Its edge is shaded where more is to come: two covers move
# with the content, two shades stay (https://lea.verou.me/blog/2012/04/background-attachment-local/). Words break where
# no line is long enough for them, and else stay whole: half an identifier is none.
TABLES = """
.jp-OutputArea-output table {
  display: block; width: max-content; max-width: 100%; overflow-x: auto; border-collapse: collapse; font-size: .92em;
  background:
    linear-gradient(to right, var(--surface) 40%, transparent) left / 3rem 100% no-repeat local,
    linear-gradient(to left, var(--surface) 40%, transparent) right / 3rem 100% no-repeat local,
    linear-gradient(to right, var(--shade), transparent) left / .9rem 100% no-repeat scroll,
    linear-gradient(to left, var(--shade), transparent) right / .9rem 100% no-repeat scroll,
    var(--surface) !important;
}
.as-made table { --surface: #FFFFFF; --shade: rgba(0, 0, 0, .28); }
th, td { vertical-align: top; }
thead th { vertical-align: bottom; }
.dataframe { border: 0; text-align: right; }
.dataframe th, .dataframe td { padding: .2em .6em; border: 0; border-bottom: 1px solid var(--line); }
.jp-OutputArea-output tbody th { max-width: 24em; overflow-wrap: break-word !important; }
@media (max-width: 70rem) {
  .jp-OutputArea-output th, .jp-OutputArea-output td { max-width: 24em; overflow-wrap: break-word !important; }
}
@media (max-width: 50rem) {
  .jp-OutputArea-output tbody th { min-width: 0 !important; }
}
@media print {
  .jp-OutputArea-output table { display: table; width: auto; background: none !important; overflow: visible; }
  .jp-OutputArea-output tbody th { min-width: 0 !important; }
  thead { display: table-header-group; }
  tr { break-inside: avoid; }
}
"""

# Figures keep a size that can be read, and say that they go on. By night they are drawn on black: what is dark
# becomes light, and each colour stays of its kind.
SCREENS = """
@media (max-width: 50rem) {
  :root { --text: 7em; }
  body { padding: .5rem .75rem 2rem; }
  .jp-RenderedImage { overflow-x: auto; }
  .jp-RenderedImage::before {
    content: "wider than the screen: swipe sideways →"; display: block; position: sticky; left: 0;
    width: max-content; font-size: .75rem; color: var(--muted);
  }
  .jp-RenderedImage img { max-width: none !important; zoom: .8; }
}
@media screen and (prefers-color-scheme: dark) {
  .described { filter: invert(.92) hue-rotate(180deg); }
}
@page { margin: 12mm; }
@media print {
  body { max-width: none; padding: 0; font-size: 9.5pt; }
  img, h1, h2, h3 { break-inside: avoid; }
  h1, h2, h3, summary { break-after: avoid; }
  .jp-RenderedImage::before { content: none; }
  .jp-RenderedImage img { max-width: 100% !important; zoom: 1; }
  a { color: inherit; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""

# Pygments' and nbconvert's names of what they mark, and the part of the theme that each has:
# https://pygments.org/docs/tokens/
CODE = """
.highlight { background: var(--code); padding: .4rem .6rem; overflow-x: auto; }
.highlight :is(.k, .kc, .kd, .kn, .kr, .ow) { color: var(--keyword); font-weight: 600; }
.highlight :is(.s, .s1, .s2, .sa, .sb, .sd, .se, .si) { color: var(--string); }
.highlight :is(.c, .c1, .cm) { color: var(--comment); }
.highlight :is(.m, .mf, .mi, .mh) { color: var(--number); }
"""
TERMINAL = """
.ansi-bold { font-weight: 700; }
.ansi-underline { text-decoration: underline; }
.ansi-red-fg, .ansi-red-intense-fg { color: var(--failed); }
.ansi-green-fg, .ansi-green-intense-fg, .ansi-cyan-fg, .ansi-cyan-intense-fg { color: var(--published); }
.ansi-yellow-fg, .ansi-yellow-intense-fg { color: var(--warned); }
.ansi-blue-fg, .ansi-blue-intense-fg { color: var(--link); }
.ansi-magenta-fg, .ansi-magenta-intense-fg { color: var(--keyword); }
"""

# A map is as wide as the page, and no higher than the screen; its text is as large as the page's.
MAP = """
.map { margin: .4rem 0; }
.map svg { display: block; width: 100%; height: auto; max-width: calc(85vh * var(--wide)); margin: 0 auto;
  border: 1px solid var(--line); cursor: grab; }
.map [tabindex]:focus-visible { outline: 3px solid var(--ink); outline-offset: 1px; }
.map figcaption { color: var(--muted); max-width: 62rem; margin-top: .3rem; }
.map-tools { display: flex; flex-wrap: wrap; gap: .4rem; align-items: center; margin-bottom: .3rem; }
.map-tools[hidden] { display: none; }
.map-tools button { font: inherit; font-weight: 600; min-width: 2.75rem; min-height: 2.75rem; padding: 0 .7rem;
  color: var(--ink); background: var(--code); border: 1px solid var(--edge); border-radius: .3rem; cursor: pointer; }
.map-told { flex: 1 1 16rem; min-height: 3em; margin: 0; display: flex; align-items: center; }
@media print {
  .map { break-inside: avoid; }
  .map svg { max-width: calc(22cm * var(--wide)); border: 0; }
  .map .map-tools, .map .map-hint { display: none; }
}
"""


def page_style(body: str) -> str:
    """Write the styles of a page with this body, by day and by night; on paper it is day."""
    day, night = (" ".join(f"--{part}: {pair[side]};" for part, pair in THEME.items()) for side in (0, 1))
    theme = (
        f":root {{ color-scheme: light dark; --text: 0; {day} }}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {night} }} }}"
    )
    parts = [("<table", TABLES), ('class="highlight', CODE), ("ansi-", TERMINAL), ('class="map ', MAP)]
    used = [style for mark, style in parts if mark in body]
    return "".join([theme, BASE, *used, SCREENS])
