"""Rewrites what cells show for one page: colours of the reader's theme, styles named once, tables read aloud."""

from __future__ import annotations

import re
from typing import Any

from sentinel_etl.notebook.page_style import THEME_COLOURS, TINTS

__all__ = ["Classes", "classes_css", "is_as_made", "rewrite_html"]

# A tag; one whose attributes hold < or > stays as it is. In text both are written as entities.
TAG = re.compile(r"<(?P<name>[a-z][a-z0-9]*)(?P<rest>\s[^<>]*)?>", re.IGNORECASE)
STYLE = re.compile(r"""\sstyle=(?P<quote>["'])(?P<style>.*?)(?P=quote)""", re.IGNORECASE)
HEX_COLOUR = re.compile(r"#[0-9a-f]{6}\b", re.IGNORECASE)
EMPTY_HEADER = re.compile(r"<th\b(?P<rest>[^<>]*)>(?:\s|&nbsp;|&#160;|\xa0)*</th>", re.IGNORECASE)
HEAD = re.compile(r"<thead\b.*?</thead>", re.IGNORECASE | re.DOTALL)

# Most of a page's styles are those of table cells, the same few a thousand times.
NAMED_ONCE = ("table", "tr", "th", "td")

# A colour that is not of our palette: what has one is shown as on paper, and not in the reader's theme.
OWN_COLOUR = re.compile(
    r"(?:color|background)[a-z-]*\s*:\s*(?!var\(|transparent|inherit|currentcolor)|bgcolor=|<svg|<iframe|<canvas",
    re.IGNORECASE,
)

Classes = dict[tuple[str, str], str]


def rewrite_html(html: str, classes: Classes) -> str:
    """Rewrite one output; ``classes`` takes the styles of table cells: (tag, style) → the class that has its place."""
    html = EMPTY_HEADER.sub(r"<td\g<rest>></td>", html)  # it heads nothing, and would be read aloud as a heading
    html = HEAD.sub(lambda head: re.sub(r"<th(?=[\s>])(?![^<>]*\sscope=)", '<th scope="col"', head[0]), html)
    html = re.sub(r"<th(?=[\s>])(?![^<>]*\sscope=)", '<th scope="row"', html)
    return TAG.sub(lambda tag: rewrite_tag(tag, classes), html)


def rewrite_tag(tag: re.Match[str], classes: Classes) -> str:
    name, rest = tag["name"].lower(), tag["rest"] or ""
    found = STYLE.search(rest)
    if found:
        style = themed(name, found["style"])
        if name in NAMED_ONCE and not re.search(r"\sclass\s*=", rest, re.IGNORECASE):
            attribute = f' class="{classes.setdefault((name, style), f"y{len(classes)}")}"'
        else:
            attribute = f" style={found['quote']}{style}{found['quote']}"
        rest = rest[: found.start()] + attribute + rest[found.end() :]
    if name == "table":  # it scrolls by itself where it is wide: by keys, too
        rest += ' tabindex="0"'
    return f"<{tag['name']}{rest}>"


def themed(tag: str, style: str) -> str:
    """Name the palette's colours by their part in the theme; a row's are tints of whatever is behind it."""
    colours = {**THEME_COLOURS, **TINTS} if tag == "tr" else THEME_COLOURS
    return HEX_COLOUR.sub(lambda colour: colours.get(colour[0].lower(), colour[0]), style)


def is_as_made(output: Any) -> bool:
    """Tell whether an output, rewritten, has colours or drawings of its own."""
    return bool(OWN_COLOUR.search(output))


def classes_css(classes: Classes) -> str:
    """Write the rules of the styles that were named; texts keep a width that can be read where the page is narrow."""
    rules = []
    for (tag, style), name in classes.items():
        wide = ";min-width:var(--text)" if tag == "td" and "text-align:left" in style else ""
        rules.append(f".{name}{{{style.rstrip(';')}{wide}}}")
    return "\n".join(rules)
