"""The analyst's controls: real widgets that ask a real warehouse, against sums over the same rows in pandas."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import ipywidgets as widgets
import pandas as pd
import pytest
from jupyter_client import BlockingKernelClient, KernelManager
from sqlalchemy import Engine

from sentinel_etl.analyst import bench as analyst
from sentinel_etl.analyst import readings
from sentinel_etl.analyst.bench import choose_loaded_nights, open_sections, try_weights
from sentinel_etl.analyst.controls import city_map, other_weights
from sentinel_etl.analyst.trial import Asked, explain_place, rank_places_under
from sentinel_etl.config.risk_weights import RISK_WEIGHTS
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.ledger.ledger import RunRecord, record_run
from sentinel_etl.ledger.states import RunState
from sentinel_etl.load.load import load_data
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.transform.what_if import change_weights
from sentinel_etl.warehouse.tables import ETL_RUNS, create_table
from sentinel_etl.window import Window, shift_date_of

AS_OF = datetime(2026, 11, 22, 0, 30, tzinfo=UTC)  # 06:00 in the city
WIDGET = "application/vnd.jupyter.widget-view+json"

# Hours before AS_OF, event type, place, category, risk points.
ROWS = [
    (1.0, "EMERGENCY_INCIDENT", 101, "FIRE", 45.0),
    (30.0, "REMARK", 101, None, 1.0),
    (200.0, "REMARK", 101, None, 1.0),
    (2.0, "STRANGER_ENCOUNTER", 102, None, 6.0),
    (26.0, "STRANGER_ENCOUNTER", 102, None, 14.0),
    (3.0, "SUSPICIOUS_VEHICLE", 201, None, 12.0),
    (190.0, "SUSPICIOUS_VEHICLE", 201, None, 12.0),
    (3.0, "GEOFENCE", 201, None, 0.0),
    (4.0, "REMARK", None, None, 1.0),
    (-5.0, "EMERGENCY_INCIDENT", 201, "FIRE", 45.0),  # not yet
]


def fact(number: int, hours: float, event_type: str, place: int | None, category: str | None, points: float) -> Any:
    moment = AS_OF - timedelta(hours=hours)
    columns = (column.name for column in SENTINEL.fact_table.columns)
    row: dict[str, Any] = dict.fromkeys(name for name in columns if name not in ("run_id", "loaded_at"))
    row |= {name: [] for name in ("visited_hotspots", "hotspots_to_visit", "assigned_crew_ids", "risk_reasons")}
    return row | {
        "event_id": f"{event_type}:{number}",
        "patrol_id": 1,
        "officer_id": 1001,
        "event_timestamp": moment,
        "event_date": moment.date(),
        "shift_date": shift_date_of(moment),
        "event_type": event_type,
        "station_id": (place or 100) // 100,
        "hotspot_id": place,
        "latitude": 12.9 + (place or 0) / 10_000,
        "longitude": 77.5 + (place or 0) / 10_000,
        "emergency_category": category,
        "base_risk_score": points,
        "run_id": "r1",
        "loaded_at": moment,
    }


@pytest.fixture(scope="module")
def facts(make_warehouse: Callable[[], Engine]) -> Iterator[Engine]:
    warehouse = make_warehouse()
    create_table(warehouse, SENTINEL.fact_table)
    load_data(pd.DataFrame([fact(n, *row) for n, row in enumerate(ROWS)]), SENTINEL.fact_table, warehouse)
    create_table(warehouse, ETL_RUNS)
    night = Window(AS_OF - timedelta(days=10), AS_OF)
    record_run(RunRecord("r1", "patrol_events", night, ("REMARK",), RunState.PUBLISHED), warehouse)
    yield warehouse
    warehouse.dispose()


@pytest.fixture(autouse=True)
def bench(facts: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SENTINEL_WAREHOUSE_URL", facts.url.render_as_string(hide_password=False))
    analyst.open_bench.cache_clear()
    yield
    analyst.open_bench.cache_clear()


def expected(
    half_life: float, types: tuple[str, ...] = (), more: dict[str, float] | None = None, at: float = 0.0
) -> dict[int, float]:
    """Sum the rows by hand; ``at``: hours before AS_OF; ``more``: points that a category or a type has on top."""
    risk: dict[int, float] = {}
    for hours, event_type, place, category, points in ROWS:
        if place is None or hours < at or (types and event_type not in types):
            continue
        score = points + sum((more or {}).get(value, 0.0) for value in (event_type, category or ""))
        risk[place] = risk.get(place, 0.0) + score * 2 ** (-(hours - at) / half_life)
    return {place: points for place, points in risk.items() if points}


def risks(ranking: pd.DataFrame, column: str = "risk") -> dict[int, float]:
    pairs = zip(ranking["hotspot_id"], ranking[column], strict=True)
    return {int(place): float(risk) for place, risk in pairs if risk}


@pytest.mark.parametrize("half_life", [0.5, 6.0, 72.0, 72.3, 500.0])
@pytest.mark.parametrize("types", [(), ("REMARK",), ("REMARK", "SUSPICIOUS_VEHICLE")])
def test_any_half_life_and_event_types_are_summed_as_by_hand(half_life: float, types: tuple[str, ...]) -> None:
    ranking = rank_places_under(Asked(AS_OF, half_life, types))
    assert risks(ranking) == pytest.approx(expected(half_life, types), rel=1e-9)
    assert risks(ranking, "risk_week_before") == pytest.approx(expected(half_life, types, at=168.0), rel=1e-9)
    assert ranking["risk"].is_monotonic_decreasing


def test_other_weights_add_their_difference_to_the_events_that_have_the_value() -> None:
    after = change_weights(
        RISK_WEIGHTS, {"emergency_category": {"FIRE": 125.0}, "event_type": {"REMARK": 0.0}}, SENTINEL.fact_table
    )
    ranking = rank_places_under(Asked(AS_OF, 72.0, before=RISK_WEIGHTS, after=after))
    assert risks(ranking) == pytest.approx(expected(72.0, more={"FIRE": 100.0, "REMARK": -1.0}), rel=1e-9)
    assert risks(ranking, "risk_as_stored") == pytest.approx(expected(72.0), rel=1e-9)


def test_a_weight_of_one_event_type_alone_counts_for_no_other() -> None:
    changes = {"STRANGER_ENCOUNTER": {"hotspot_id": {102: 10.0, 101: 99.0}}}
    after = change_weights(RISK_WEIGHTS, changes, SENTINEL.fact_table, SENTINEL.event_types)
    ranking = rank_places_under(Asked(AS_OF, 72.0, before=RISK_WEIGHTS, after=after))
    assert risks(ranking) == pytest.approx(expected(72.0, more={"STRANGER_ENCOUNTER": 10.0}), rel=1e-9)


def test_a_place_s_risk_is_broken_down_into_parts_that_add_up() -> None:
    asked = Asked(AS_OF, 72.0, place=101)
    parts = explain_place(asked)
    assert parts["event_type"].to_list() == ["EMERGENCY_INCIDENT", "REMARK"]
    assert parts["events"].to_list() == [1, 2]
    assert float(parts["risk"].sum()) == pytest.approx(risks(rank_places_under(asked))[101])


def test_a_half_life_that_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="half_life_hours: expected a number of hours"):
        rank_places_under(Asked(AS_OF, 0.0, ("REMARK",)))


def show_map() -> Any:
    section = open_sections()
    period, nights = choose_loaded_nights("", 14)
    ranking = rank_places_under(Asked(period.end, 72.0))
    places, stations = readings.locate_places(period), readings.locate_stations(period)
    incidents, emerging = readings.find_incidents(period), readings.find_emerging(period, 72.0)
    return section(city_map, period, 72.0, incidents, ranking, places, stations, emerging, nights)


def parts_of(box: Any) -> dict[str, Any]:
    """The widgets of a panel by what they are called; the last two are its state and its answer."""
    named: dict[str, Any] = {}
    for child in box.children:
        named |= parts_of(child) if isinstance(child, widgets.VBox) else {child.description: child}
    return {**named, "status": box.children[-2], "answer": box.children[-1]}


def test_each_move_of_the_map_s_controls_asks_again_and_draws_anew() -> None:
    parts = parts_of(show_map().build())
    answer, status = parts["answer"], parts["status"]
    assert f"1. hotspot 101: {expected(72.0)[101]:,.0f} risk points left" in answer.value
    assert "asked and drawn in " in status.value

    parts["half-life, hours"].value = 500.0
    risk = expected(500.0)
    assert f"1. hotspot 101: {risk[101]:,.0f} risk points left" in answer.value
    assert "half-life 500 h" in answer.value

    parts["event types"].value = ("STRANGER_ENCOUNTER",)
    assert "1. hotspot 102: " in answer.value
    assert "hotspot 101" not in answer.value

    parts["as of, Asia/Kolkata"].value = datetime(2026, 11, 21, 6, 0)
    assert "2026-11-21 06:00 IST" in answer.value
    assert f"1. hotspot 102: {14 * 2 ** (-2 / 500):,.0f} risk points left" in answer.value


def test_a_chosen_place_stands_out_on_the_map_and_says_what_its_risk_is_made_of() -> None:
    parts = parts_of(show_map().build())
    assert "risk left at" not in parts["answer"].value
    place = parts["a place"]
    place.value = dict(place.options)["hotspot 201"]
    assert 'class="chosen"' in parts["answer"].value
    assert "risk left at hotspot 201" in parts["answer"].value
    place.value = dict(place.options)["none"]
    assert "risk left at" not in parts["answer"].value


def test_what_cannot_be_asked_is_said_and_the_picture_of_before_stays() -> None:
    parts = parts_of(show_map().build())
    before = parts["answer"].value
    parts["as of, Asia/Kolkata"].value = datetime(2001, 1, 1)
    assert "its nights are 2026-11-1" in parts["status"].value
    assert parts["answer"].value == before
    parts["as of, Asia/Kolkata"].value = datetime(2026, 11, 22, 6, 0)
    assert "asked and drawn in " in parts["status"].value


def test_each_move_of_a_weight_asks_again_and_can_be_taken_back() -> None:
    before, after = try_weights({"event_type": {"REMARK": 3.0}})
    parts = parts_of(other_weights(Window(AS_OF - timedelta(days=9), AS_OF), before, after).build())
    answer = parts["answer"]
    assert "event_type = REMARK: 1 → 3" in answer.value

    weight = parts["weight"]
    weight.value = dict(weight.options)["event_type = SUSPICIOUS_VEHICLE"]
    assert parts["risk points"].value == 12.0
    parts["risk points"].value = 100.0
    assert "event_type = SUSPICIOUS_VEHICLE: 12 → 100" in answer.value
    assert "event_type = REMARK: 1 → 3" in answer.value
    moved = expected(72.0, more={"REMARK": 2.0, "SUSPICIOUS_VEHICLE": 88.0})
    assert f">{moved[201]:,.1f}</td>" in answer.value

    parts["weights as stored"].click()
    assert "The weights are those of the stored scores." in answer.value
    assert parts["risk points"].value == 12.0


def test_a_wrong_weight_is_said() -> None:
    before, after = try_weights({"event_type": {"REMARK": 3.0}})
    asked = Asked(AS_OF, 72.0, before=before, after=after)
    assert replace(asked, after=before).other_weights.empty
    parts = parts_of(other_weights(Window(AS_OF - timedelta(days=9), AS_OF), before, after).build())
    parts["risk points"].value = -5.0  # the widget's own limit is nothing below 0
    assert parts["risk points"].value == 0.0


@pytest.fixture
def kernel() -> Iterator[BlockingKernelClient]:
    manager = KernelManager(kernel_name="python3", transport_encryption="auto")
    manager.start_kernel()
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def shown_by(kernel: BlockingKernelClient, code: str, *, somebody: bool) -> dict[str, Any]:
    """Run a cell as JupyterLab does, or as papermill does, and give what it shows."""
    found: dict[str, Any] = {}

    def keep(message: Any) -> None:
        if message["msg_type"] in ("execute_result", "display_data"):
            found.update(message["content"]["data"])

    reply = kernel.execute_interactive(code, timeout=120, output_hook=keep, allow_stdin=somebody, stdin_hook=print)
    assert reply["content"]["status"] == "ok", reply["content"]
    return found


def test_controls_are_shown_where_somebody_can_answer_and_a_still_picture_elsewhere(
    kernel: BlockingKernelClient,
) -> None:
    begin = (
        "import sys\nfrom sentinel_etl.analyst import choose_loaded_nights, open_sections, try_weights\n"
        "from sentinel_etl.analyst.controls import other_weights\n"
        "period, nights = choose_loaded_nights('', 14)\n"
        "panel = open_sections()(other_weights, period, *try_weights({'event_type': {'REMARK': 3.0}}))\n"
        "panel"
    )
    still = shown_by(kernel, begin, somebody=False)
    assert WIDGET not in still
    assert "hotspot 101" in still["text/plain"]
    assert "hotspot 101" in still["text/html"]
    assert shown_by(kernel, "'ipywidgets' in sys.modules", somebody=False)["text/plain"] == "False"
    live = shown_by(kernel, "panel", somebody=True)
    assert live[WIDGET]["model_id"]
    assert live["text/html"] == still["text/html"]


def test_a_slider_that_a_browser_moves_is_answered_by_a_new_drawing(kernel: BlockingKernelClient) -> None:
    """The messages are those that JupyterLab's widgets send and take.

    https://jupyter-client.readthedocs.io/en/stable/messaging.html#custom-messages
    """
    begin = (
        "from sentinel_etl.analyst import choose_loaded_nights, open_sections, try_weights\n"
        "from sentinel_etl.analyst.controls import other_weights\n"
        "period, nights = choose_loaded_nights('', 14)\n"
        "box = open_sections()(other_weights, period, *try_weights({'event_type': {'REMARK': 3.0}})).build()\n"
        "[box.children[1].model_id, box.children[-1].model_id]"
    )
    slider, answer = ast.literal_eval(shown_by(kernel, begin, somebody=True)["text/plain"])
    state = {"method": "update", "state": {"value": 500.0}, "buffer_paths": []}
    kernel.shell_channel.send(kernel.session.msg("comm_msg", {"comm_id": slider, "data": state}))
    while True:
        message = kernel.get_iopub_msg(timeout=60)
        if message["msg_type"] == "comm_msg" and message["content"]["comm_id"] == answer:
            break
    drawn = message["content"]["data"]["state"]["value"]
    moved = expected(500.0, more={"REMARK": 2.0})
    assert f">{moved[101]:,.1f}</td>" in drawn
