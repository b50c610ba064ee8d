"""One group of a backfill on another machine: what its worker is told, what it must have, and what comes home.

Everything that shapes data comes as the task's values, so nothing of one driver stays in a worker for the next. A
worker's own are its secrets, which never travel, and its pipeline's module; that they are the driver's is compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sentinel_etl.allocator import choose_allocator
from sentinel_etl.context import Context, open_context
from sentinel_etl.errors import ConfigurationError, NotebookFailed, SentinelError, error_named
from sentinel_etl.notebook.execute import carry_out, warehouse_after
from sentinel_etl.notebook.plan_run import Plan
from sentinel_etl.rules.describe import describe_rules, hash_rules
from sentinel_etl.run.provenance import name_engine
from sentinel_etl.scratch import scratch_folder
from sentinel_etl.settings import Settings, hand_down, load_settings
from sentinel_etl.source.identity import identify_source
from sentinel_etl.warehouse.identity import identify_warehouse
from sentinel_etl.window import Window

__all__ = ["Delivery", "check_worker", "make_errand", "run_errand", "take_delivery"]

# Each machine's own folders; the weights' file comes as its text.
PLACES = ("runs_dir", "notebooks_dir", "state_dir", "risk_weights")

REMEDIES = {
    "engine": "install the driver's version there",
    "source": "set SENTINEL_SOURCE_URL there to the driver's source",
    "warehouse": "set SENTINEL_WAREHOUSE_URL there to the driver's warehouse",
    "personal data": "set SENTINEL_PII_KEY there to the driver's",
    "configuration": "bring the pipeline's module there to the driver's",
}


@dataclass(frozen=True)
class Delivery:
    """What comes home: the run's ledger row, what went wrong (class and sentence, or empty), and its report's texts."""

    record: Mapping[str, Any]
    error: str
    cause: str
    notebook: str
    page: str


def make_errand(plan: Plan, context: Context) -> dict[str, Any]:
    """Write what a worker is told, as plain values: a worker of another version can read them, and be refused."""
    settings = context.settings
    told = {name: value for name, value in hand_down(settings).items() if name not in PLACES}
    weights = settings.risk_weights.read_text(encoding="utf-8") if settings.risk_weights else None
    return {
        "identity": identify(context),
        "settings": told,
        "given": sorted(settings.model_fields_set & told.keys()),
        "weights": weights,
        "notebook": plan.source.read_text(encoding="utf-8"),
        "name": plan.source.name,
        "parameters": dict(plan.parameters),
        "window": (plan.window.start, plan.window.end),
        "run_id": plan.run_id,
        "report": plan.report.name,
        "recorded": plan.recorded,
        "backfill": plan.backfill,
    }


def identify(context: Context) -> dict[str, str]:
    """Name what a worker must have as the driver has it; no secret is in it."""
    return {
        "engine": name_engine(),
        "source": identify_source(context.source),
        "warehouse": identify_warehouse(context.warehouse),
        "personal data": context.pipeline.pii_policy,
        "configuration": hash_rules(describe_rules(context.pipeline)),
    }


def check_worker(errand: Mapping[str, Any]) -> str:
    """Tell in a sentence why this worker cannot do the errand; empty: it can."""
    try:
        with scratch_folder() as folder, worker_context(errand, folder):
            return ""
    except SentinelError as error:
        return str(error)


def run_errand(errand: Mapping[str, Any]) -> Delivery:
    """Run a group in a temporary folder of this machine, which a later errand sweeps where this process is killed.

    Raises:
        ConfigurationError: this worker is not as the driver is. Nothing was begun.
    """
    choose_allocator()
    with scratch_folder() as folder:
        with worker_context(errand, folder) as context:
            settings = context.settings
        plan = plan_of(errand, settings)
        with warehouse_after(settings, None) as warehouse:
            record, failure = carry_out(plan, settings, warehouse)
        error, cause = (type(failure).__name__, str(failure)) if failure else ("", "")
        return Delivery(dict(record), error, cause, text_of(plan.report), text_of(plan.page))


@contextmanager
def worker_context(errand: Mapping[str, Any], folder: Path) -> Iterator[Context]:
    """Open the databases by this machine's URLs, with the driver's settings for the rest; refuse what differs.

    Raises:
        ConfigurationError: no URLs here, or other databases, another engine, key or pipeline than the driver's.
        SourceUnreachable, WarehouseUnreachable: a database does not answer from here.
    """
    expected = errand["identity"]
    if (engine := name_engine()) != expected["engine"]:  # before anything else of it is used
        raise ConfigurationError(describe_difference("engine", expected["engine"], engine))
    weights = folder / "weights.yaml"
    if errand["weights"] is not None:
        weights.write_text(errand["weights"], encoding="utf-8")
    places = {
        "runs_dir": folder / "runs",
        "notebooks_dir": folder / "notebooks",
        "state_dir": folder / "state",
        "risk_weights": None if errand["weights"] is None else weights,
        "keep_extract": False,  # the folder goes with the errand
    }
    given = {*errand["given"], *places} - (set() if errand["weights"] else {"risk_weights"})
    settings = load_settings(told={**errand["settings"], **places}, given=given)
    missing = [name for name in ("source_url", "warehouse_url") if getattr(settings, name) is None]
    if missing:
        named = " and ".join(f"SENTINEL_{name.upper()}" for name in missing)
        raise ConfigurationError(f"expected {named} in the worker's own environment, found none; set it there")
    # Who is told of a verdict is the driver's to tell.
    own = settings.model_copy(update={"notify_url": None})
    with open_context(own) as context:
        found = identify(context)
        if differing := [name for name in expected if found.get(name) != expected[name]]:
            told = (describe_difference(name, expected[name], found.get(name, "none")) for name in differing)
            raise ConfigurationError("; ".join(told))
        yield context


def describe_difference(name: str, expected: str, found: str) -> str:
    return f"{name}: expected the driver's, {expected}; found {found}; {REMEDIES[name]}"


def plan_of(errand: Mapping[str, Any], settings: Settings) -> Plan:
    """Write the notebook down here, and plan its run as the driver has."""
    settings.notebooks_dir.mkdir(exist_ok=True)
    settings.runs_dir.mkdir(exist_ok=True)
    source = settings.notebooks_dir / errand["name"]
    source.write_text(errand["notebook"], encoding="utf-8")
    return Plan(
        source=source,
        parameters=errand["parameters"],
        window=Window(*errand["window"]),
        run_id=errand["run_id"],
        report=settings.runs_dir / errand["report"],
        recorded=errand["recorded"],
        backfill=errand["backfill"],
    )


def text_of(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.exists() else ""


def take_delivery(delivery: Delivery) -> SentinelError | None:
    """Return what went wrong with a run elsewhere, as the error that it was."""
    if not delivery.error:
        return None
    return (error_named(delivery.error) or NotebookFailed)(delivery.cause)
