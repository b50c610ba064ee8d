"""The archived page's map, in a browser: wheel, buttons, fingers and keys zoom it, and each mark tells its numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h3
import numpy as np
import pandas as pd
import pytest
from chromium import Browser, needs_chromium
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from sentinel_etl.notebook.page import export_html
from sentinel_etl.report.zoom_map import draw_zoom_map

pytestmark = needs_chromium

SIZES = {"desk": (1280, 900, 1), "phone": (360, 800, 2)}
MIDDLE = h3.latlng_to_cell(12.97, 77.59, 8)
CELLS = sorted(h3.grid_disk(MIDDLE, 8))
KEYS = {"+": 187, "-": 189, "0": 48, "ArrowLeft": 37, "ArrowRight": 39, "ArrowUp": 38, "ArrowDown": 40, "Tab": 9}


def write_map(places: int = 60, maps: int = 1) -> str:
    """A page with a map of a made-up city, as a notebook's archived page has it."""
    chance = np.random.default_rng(16)
    incidents = pd.DataFrame({"cell": CELLS, "events": chance.integers(1, 900, len(CELLS))})
    north, east = 12.97 + chance.normal(0, 0.02, places), 77.59 + chance.normal(0, 0.02, places)
    named = {"hotspot_id": np.arange(1, places + 1), "latitude": north, "longitude": east}
    risk = np.sort(chance.exponential(100, places))[::-1]
    ranking = pd.DataFrame({"hotspot_id": named["hotspot_id"], "risk": risk, "risk_week_before": risk[::-1]})
    stations = pd.DataFrame({"station_id": [1, 2], "latitude": [12.96, 12.99], "longitude": [77.57, 77.61]})
    emerging = pd.DataFrame({"cell": [h3.latlng_to_cell(12.98, 77.6, 9)], "events": [5], "risk": [63.0]})
    shown = draw_zoom_map(incidents, ranking, pd.DataFrame(named), stations, emerging, nights=28)
    data, metadata = shown._repr_mimebundle_()
    outputs = [new_output("display_data", data, metadata=metadata)] * maps
    cells = [new_markdown_cell("# A map"), new_code_cell("", outputs=outputs)]
    return export_html(new_notebook(cells=cells), "map")


@pytest.fixture
def reader(browser: Browser) -> Iterator[Browser]:
    yield browser
    browser.emulate()
    browser.call("Emulation.setScriptExecutionDisabled", value=False)


def open_map(browser: Browser, folder: Path, size: str = "desk", maps: int = 1) -> Browser:
    page = folder / "map.html"
    page.write_text(write_map(maps=maps), encoding="utf-8")
    browser.open(page, SIZES[size])
    return browser


def view(browser: Browser, number: int = 0) -> list[float]:
    shown = browser.run(f"document.querySelectorAll('.map svg')[{number}].getAttribute('viewBox')")
    return [float(side) for side in shown.split()]


def press(browser: Browser, *keys: str) -> None:
    for key in keys:
        browser.press(key, KEYS[key], key if len(key) == 1 else "")


def told(browser: Browser) -> str:
    return str(browser.run("document.querySelector('.map-told').textContent"))


def point_of(browser: Browser, mark: str) -> tuple[float, float]:
    x, y = browser.run(
        f"(() => {{ const b = document.querySelector({mark!r}).getBoundingClientRect();"
        " return [b.x + b.width / 2, b.y + b.height / 2] })()"
    )
    return x, y


def turn_wheel(browser: Browser, x: float, y: float, down: float) -> None:
    browser.call("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=down)
    # The wheel is answered in the next frame.
    browser.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def test_the_wheel_zooms_and_what_is_under_the_mouse_stays_there(reader: Browser, tmp_path: Path) -> None:
    open_map(reader, tmp_path)
    mark = ".places circle:nth-of-type(40)"
    before, whole = point_of(reader, mark), view(reader)
    turn_wheel(reader, *before, -200)
    assert view(reader)[2] < 0.8 * whole[2]
    assert point_of(reader, mark) == pytest.approx(before, abs=1.5)
    for _ in range(4):
        turn_wheel(reader, *before, 200)
    assert view(reader) == whole


def test_over_the_whole_map_the_wheel_scrolls_the_page_on(reader: Browser, tmp_path: Path) -> None:
    open_map(reader, tmp_path)
    reader.run("document.body.style.minHeight = '3000px'")
    turn_wheel(reader, *point_of(reader, ".map svg"), 300)
    reader.run("new Promise(done => setTimeout(done, 500))")
    assert reader.run("scrollY") > 0


def test_keys_zoom_move_and_reset_the_map(reader: Browser, tmp_path: Path) -> None:
    open_map(reader, tmp_path)
    whole = view(reader)
    reader.run("document.querySelector('.map svg').focus()")
    press(reader, "+", "+")
    near = view(reader)
    assert near[2] == pytest.approx(whole[2] / 1.5**2, rel=1e-3)
    press(reader, "ArrowRight", "ArrowDown")
    assert view(reader)[0] == pytest.approx(near[0] + near[2] / 8, rel=1e-3)
    assert view(reader)[1] == pytest.approx(near[1] + near[3] / 8, rel=1e-3)
    press(reader, "-")
    assert view(reader)[2] == pytest.approx(whole[2] / 1.5, rel=1e-3)
    press(reader, "0")
    assert view(reader) == whole


def test_the_map_cannot_be_lost_from_sight(reader: Browser, tmp_path: Path) -> None:
    open_map(reader, tmp_path)
    whole = view(reader)
    reader.run("document.querySelector('.map svg').focus()")
    press(reader, "+", *["ArrowRight"] * 40, *["ArrowUp"] * 40)
    x, y, width, _ = view(reader)
    assert (x + width, y) == pytest.approx((whole[2], 0), abs=0.01)
    press(reader, *["+"] * 40)
    assert view(reader)[2] == pytest.approx(whole[2] / 32)


def test_buttons_zoom_and_reset(reader: Browser, tmp_path: Path) -> None:
    open_map(reader, tmp_path)
    whole = view(reader)
    for name, width in (("Zoom in", whole[2] / 1.5), ("Zoom in", whole[2] / 1.5**2), ("Zoom out", whole[2] / 1.5)):
        reader.run(f"document.querySelector('[aria-label=\"{name}\"]').click()")
        assert view(reader)[2] == pytest.approx(width, rel=1e-3)
    reader.run("Array.from(document.querySelectorAll('.map button')).pop().click()")
    assert view(reader) == whole


def test_the_mouse_moves_a_near_map(reader: Browser, tmp_path: Path) -> None:
    open_map(reader, tmp_path)
    reader.run("document.querySelector('[aria-label=\"Zoom in\"]').click()")
    before, (x, y) = view(reader), point_of(reader, ".map svg")
    for kind, across in (("mousePressed", 0), ("mouseMoved", 40), ("mouseMoved", 80), ("mouseReleased", 80)):
        reader.call("Input.dispatchMouseEvent", type=kind, x=x + across, y=y, button="left", buttons=1, clickCount=1)
    assert view(reader)[0] < before[0]
    assert view(reader)[1:] == before[1:]


def test_two_fingers_zoom_the_map_on_a_phone(reader: Browser, tmp_path: Path) -> None:
    open_map(reader, tmp_path, "phone")
    before, (x, y) = view(reader), point_of(reader, ".map svg")
    for kind, apart in (("touchStart", 20), ("touchMove", 40), ("touchMove", 60), ("touchEnd", None)):
        points = [] if apart is None else [{"x": x - apart, "y": y, "id": 1}, {"x": x + apart, "y": y, "id": 2}]
        reader.call("Input.dispatchTouchEvent", type=kind, touchPoints=points)
    assert view(reader)[2] < before[2] / 2


def test_pointing_at_a_mark_tells_its_numbers(reader: Browser, tmp_path: Path) -> None:
    open_map(reader, tmp_path)
    x, y = point_of(reader, ".places circle")
    reader.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    assert told(reader).startswith("1. hotspot 1: ")
    x, y = point_of(reader, ".stations path")
    reader.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    assert told(reader) == "station 1: 12.9600 N, 77.5700 E"


def test_tab_walks_from_the_map_to_the_first_places_and_arrows_to_all_of_a_kind(
    reader: Browser, tmp_path: Path
) -> None:
    open_map(reader, tmp_path)
    reader.run("document.querySelector('.map svg').focus()")
    press(reader, "Tab")
    assert told(reader).startswith("cell ")
    for rank in range(1, 9):
        press(reader, "Tab")
        assert told(reader).startswith(f"{rank}. hotspot {rank}: ")
        assert " risk points left, " in told(reader)
    press(reader, "ArrowRight")
    assert told(reader).startswith("9. hotspot 9: ")
    press(reader, "ArrowLeft", "ArrowLeft")
    assert told(reader).startswith("7. hotspot 7: ")
    reader.run("document.querySelector('.emerging path').focus()")
    assert told(reader).startswith("emerging cell ")


def test_a_mark_that_has_the_focus_is_brought_into_sight(reader: Browser, tmp_path: Path) -> None:
    open_map(reader, tmp_path)
    reader.run("document.querySelector('.map svg').focus()")
    press(reader, *["+"] * 8, *["ArrowLeft"] * 60)
    reader.run("Array.from(document.querySelectorAll('.cells path')).pop().focus()")
    inside = reader.run(
        "(() => { const a = document.querySelector('.map svg').getBoundingClientRect(),"
        " b = document.activeElement.getBoundingClientRect();"
        " return b.left + b.width / 2 > a.left && b.left + b.width / 2 < a.right })()"
    )
    assert inside


def test_names_keep_their_size_and_more_of_them_are_shown_nearer(reader: Browser, tmp_path: Path) -> None:
    open_map(reader, tmp_path)
    size = "document.querySelector('.names text').getBoundingClientRect().height"
    seen = "Array.from(document.querySelectorAll('.names text')).filter(e => e.checkVisibility()).length"
    before = reader.run(size)
    assert reader.run(seen) == 8
    reader.run("document.querySelector('.map svg').focus()")
    press(reader, *["+"] * 4)
    assert reader.run(size) == pytest.approx(before, rel=0.1)
    assert reader.run(seen) == 60


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_near_map_has_no_violation_and_no_scrollbar(reader: Browser, tmp_path: Path, scheme: str, size: str) -> None:
    reader.emulate(scheme)
    open_map(reader, tmp_path, size)
    reader.run("document.querySelector('.map svg').focus()")
    press(reader, "+", "+", "+")
    assert reader.violations() == []
    assert reader.run("document.documentElement.scrollWidth") <= SIZES[size][0]
    assert reader.complaints() == []
    assert [url for url in reader.requests() if not url.startswith(("file:", "about:", "data:"))] == []


def test_names_can_be_read_on_a_phone(reader: Browser, tmp_path: Path) -> None:
    open_map(reader, tmp_path, "phone")
    assert reader.run("document.querySelector('.names text').getBoundingClientRect().height") >= 11


def test_the_map_is_dark_for_who_likes_dark_pages(reader: Browser, tmp_path: Path) -> None:
    ground = "getComputedStyle(document.querySelector('.ground')).fill"
    open_map(reader, tmp_path)
    assert reader.run(ground) == "rgb(255, 255, 255)"
    reader.emulate("dark")
    assert reader.run(ground) == "rgb(20, 20, 20)"


def test_without_script_the_map_is_a_picture_with_words_and_offers_nothing_that_fails(
    reader: Browser, tmp_path: Path
) -> None:
    reader.call("Emulation.setScriptExecutionDisabled", value=True)
    open_map(reader, tmp_path)
    assert reader.run("document.querySelector('.map svg').getAttribute('role')") == "img"
    assert reader.run("document.querySelector('.map-legend').getBoundingClientRect().height") > 10
    assert not reader.run("document.querySelector('.map-tools').checkVisibility()")
    assert "The tables of this page hold the map's numbers, too." in reader.run("document.body.innerText")


def test_on_paper_there_are_no_buttons_and_the_map_fits_the_sheet(reader: Browser, tmp_path: Path) -> None:
    open_map(reader, tmp_path)
    reader.emulate(media="print")
    assert not reader.run("document.querySelector('.map-tools').checkVisibility()")
    assert not reader.run("document.querySelector('.map-hint').checkVisibility()")
    assert reader.run("document.querySelector('.map svg').getBoundingClientRect().height") <= 22 * 96 / 2.54 + 1


def test_two_maps_of_a_page_are_zoomed_each_by_itself_by_one_script(reader: Browser, tmp_path: Path) -> None:
    open_map(reader, tmp_path, maps=2)
    assert reader.run("document.querySelectorAll('script').length") == 1
    whole = view(reader)
    reader.run("document.querySelectorAll('.map svg')[1].focus()")
    press(reader, "+")
    assert view(reader) == whole
    assert view(reader, 1)[2] < whole[2]
