"""Makes a run's rows again, in staging, under the rules that it had, and tells whether they are the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from sentinel_etl.arrow import as_frame
from sentinel_etl.audit.changes.changes import Changes
from sentinel_etl.audit.changes.find_changes import find_changes
from sentinel_etl.audit.changes.statements import FactRows
from sentinel_etl.audit.window_gates import most_rejected
from sentinel_etl.context import Context
from sentinel_etl.errors import AuditFailed, ConfigurationError
from sentinel_etl.extract.read import plain
from sentinel_etl.ledger.kept_rules import read_rules
from sentinel_etl.ledger.ledger import list_runs
from sentinel_etl.load.load import load_stream
from sentinel_etl.load.surplus import take_surplus
from sentinel_etl.rules.compare import RuleChange, compare_rules, describe_changes
from sentinel_etl.rules.describe import Rules, describe_rules
from sentinel_etl.rules.stored import StoredPipeline, restore_pipeline
from sentinel_etl.run.kept_extract import extract_folder, read_extract
from sentinel_etl.run.provenance import name_code
from sentinel_etl.run.run_ids import new_run_id
from sentinel_etl.source.locks import hold_locks, run_lock, session_name
from sentinel_etl.source.snapshot import open_snapshot
from sentinel_etl.transform.concatenate import concatenate
from sentinel_etl.transform.misfits import sort_rows
from sentinel_etl.warehouse.rows import count_all, count_rows, hash_content, now_for
from sentinel_etl.warehouse.tables import STAGING_MARK, create_table, drop_staging
from sentinel_etl.window import Window
from sentinel_etl.wording import plural

__all__ = ["Replay", "replay_run"]

Batches = Iterator[Mapping[str, pd.DataFrame]]


@dataclass(frozen=True)
class Replay:
    """What a replay found.

    ``kept``, ``rows``    the hash that the run noted of its rows, and how many they were
    ``from_source``       the hash of the rows made again of the source as it is; ``rows_now``: how many
    ``from_extract``      the same of the extract that the run kept; None: it kept none
    ``rules``             how today's rules differ from the run's, under which the rows were made again
    ``code``              what of the code differs from what the run ran on: name, then, now
    ``changes``           how the rows made again differ from the run's, where these are still in the fact table
    """

    run_id: str
    window: Window
    kept: str
    rows: int
    from_source: str
    rows_now: int
    from_extract: str | None
    rules: tuple[RuleChange, ...]
    code: tuple[tuple[str, str, str], ...]
    changes: Changes | None

    @property
    def is_same(self) -> bool:
        return self.from_source == self.kept

    @property
    def causes(self) -> tuple[str, ...]:
        """What made the rows differ: source, code, or both; where they cannot be told apart, ``source or code``."""
        if self.is_same:
            return ()
        if self.from_extract is None:
            return ("source or code",) if self.code else ("source",)
        if self.from_extract == self.kept:
            return ("source",)
        return ("code",) if self.from_extract == self.from_source else ("source", "code")

    def as_dict(self) -> dict[str, Any]:
        return {
            "run_id": self.run_id,
            "window": str(self.window),
            "same": self.is_same,
            "content": {"kept": self.kept, "from_source": self.from_source, "from_extract": self.from_extract},
            "rows": {"kept": self.rows, "from_source": self.rows_now},
            "causes": list(self.causes),
            "configuration": [change.as_dict() for change in self.rules],
            "code": {name: {"then": then, "now": now} for name, then, now in self.code},
            "changes": self.changes.as_dict() if self.changes else None,
        }

    def __str__(self) -> str:
        lines = [f"run {self.run_id}, {self.window}", f"content        {self.describe_content()}"]
        lines.append(f"source         {self.describe_source()}")
        rules = f"today's differs from the run's, under which the rows were made again: {describe_changes(self.rules)}"
        lines.append(f"configuration  {rules if self.rules else 'as it is today'}")
        code = "; ".join(f"{name} {then or 'not noted'} → {now}" for name, then, now in self.code)
        lines.append(f"code           {f'differs: {code}' if code else 'as the run had it'}")
        return "\n".join(lines)

    def describe_content(self) -> str:
        rows = f"{self.rows_now:,} {plural(self.rows_now, 'row')}"
        if self.is_same:
            return f"the same hash, {self.kept}: {rows}"
        return f"another hash, {self.from_source} of {rows}, not {self.kept} of {self.rows:,}"

    def describe_source(self) -> str:
        match self.causes:
            case ():
                return "gives the run's rows"
            case ("code",):
                return "as the kept extract"
            case ("source or code",):
                return (
                    "may differ, and so may what the code makes of it: without a kept extract (SENTINEL_KEEP_EXTRACT) "
                    f"they cannot be told apart{self.told}"
                )
            case _:
                return f"differs from what the run read{self.told}"

    @property
    def told(self) -> str:
        return f": {self.changes.describe()}" if self.changes else ""

    def raise_for_difference(self) -> None:
        """Raise where the rows made again are others.

        Raises:
            AuditFailed: with what makes them differ.
        """
        if not self.is_same:
            raise AuditFailed(
                f"expected the rows that run {self.run_id} staged, found others: the {' and the '.join(self.causes)} "
                "differs. Run the window again to load them as they are now",
                stage="replay",
                window=self.window,
            )


def replay_run(context: Context, run_id: str = "") -> Replay:
    """Make the rows of a run again, of the source as it is and of the kept extract, and compare their hashes.

    Without a run's id it is the last one that has published. It publishes nothing, and needs no other code than
    this. An interruption leaves a staging table, which the next run sweeps.

    Raises:
        ConfigurationError: no such run, one that has noted no hash or kept no rules, or another key for personal data.
        SourceUnreachable, WarehouseUnreachable: a database does not answer.
        SchemaMismatch: the source has not what the run's statements name.
    """
    run = find_noted(context, run_id)
    run_id = run["run_id"]
    rules = read_rules([run["config_hash"]], context.warehouse).get(run["config_hash"])
    if rules is None:
        raise ConfigurationError(f"replay: expected the rules of run {run_id} in etl_rules, found none of its hash")
    check_key(run, context)
    window = Window(run["window_start"], run["window_end"])
    own = [name for name in run["event_types"] if name in rules["event_types"]]
    folder = extract_folder(context.settings.runs_dir, run_id)
    from_source, rows_now, changes = "", 0, None
    with staged(context, rules, lambda pipeline: read_source(pipeline, own, window, context)) as table:
        from_source, rows_now = hash_content(table, context.warehouse), count_all(table, context.warehouse)
        changes = find_differences(run, table, context) if from_source != run["content"] else None
    return Replay(
        run_id,
        window,
        run["content"],
        sum(counts["staged"] for counts in run["counts"].values()),
        from_source,
        rows_now,
        hash_extract(context, rules, folder) if folder.is_dir() else None,
        tuple(compare_rules(rules, describe_rules(context.pipeline))),
        tuple(list_code_differences(run["versions"])),
        changes,
    )


def find_noted(context: Context, run_id: str) -> dict[str, Any]:
    """Find the run, which must have noted the hash of what it staged."""
    runs = {run["run_id"]: run for run in list_runs(context.pipeline.fact_table, context.warehouse)}
    if not run_id:
        run_id = next((name for name, run in runs.items() if run["content"] and run["state"].is_published), "")
    if not run_id:
        raise ConfigurationError("replay: expected a published run that has noted the hash of its rows, found none")
    if run_id not in runs:
        close = get_close_matches(run_id, runs, 1)
        hint = f"did you mean {close[0]}?" if close else "`sentinel-etl runs list` shows them"
        raise ConfigurationError(f"replay: expected the id of a run in the ledger, found {run_id!r}; {hint}")
    run = runs[run_id]
    if not run["content"]:
        raise ConfigurationError(
            f"replay: expected a run that has noted the hash of its rows, found {run_id}, which ended {run['state']}. "
            "Runs of an older version, and those that ended before their audit, have noted none"
        )
    return run


def check_key(run: Mapping[str, Any], context: Context) -> None:
    """See that the key that hashed the run's personal data is the settings'; it is kept nowhere else."""
    found = context.pipeline.key_id
    if run["pii"].startswith("hash") and run["pii"] != f"hash {found}":
        raise ConfigurationError(
            f"replay: expected in SENTINEL_PII_KEY the key that hashed the run's personal data, whose id is "
            f"{run['pii'].removeprefix('hash ')}; found {f'one whose id is {found}' if found else 'none'}"
        )


def read_source(pipeline: StoredPipeline, names: list[str], window: Window, context: Context) -> Batches:
    """Read the rows by the statements that the run sent, all in one snapshot."""
    with open_snapshot(context.reader, context.settings.statement_timeout_seconds) as snapshot:
        for name in names:
            for batch in snapshot.read(pipeline.statement(name, window), name):
                yield {name: as_frame(pa.Table.from_batches([plain(batch, name)]))}


def hash_extract(context: Context, rules: Rules, folder: Path) -> str:
    with staged(context, rules, lambda pipeline: read_extract(folder), protected=True) as table:
        return hash_content(table, context.warehouse)


@contextmanager
def staged(
    context: Context, rules: Rules, read: Callable[[StoredPipeline], Batches], *, protected: bool = False
) -> Iterator[Any]:
    """Stage what is read, transformed as the rules say, in a table that is there as long as the block."""
    name = new_run_id()
    warehouse, facts = context.warehouse, context.pipeline.fact_table
    pipeline = restore_pipeline(rules, context.pipeline, f"{facts.name}{STAGING_MARK}{name}", protected=protected)
    table = pipeline.fact_table
    # Its lock shows it alive to who sweeps.
    wait = context.settings.lock_wait_seconds
    with hold_locks(context.source, [run_lock(name)], session_name(name), wait):
        try:
            create_table(warehouse, table)
            loaded_at = now_for(table)
            frames = (sort_rows(concatenate(batch), pipeline)[0] for batch in read(pipeline))
            rows = load_stream((frame.assign(run_id=name, loaded_at=loaded_at) for frame in frames), table, warehouse)
            for _ in take_surplus(table, most_rejected({"": rows}, pipeline.gate_limits), warehouse):
                pass
            yield table
        finally:
            drop_staging(table, warehouse)


def find_differences(run: Mapping[str, Any], table: Any, context: Context) -> Changes | None:
    """Compare with the run's own rows; None: they are not in the fact table any more, or not all."""
    pipeline, warehouse, facts = context.pipeline, context.warehouse, context.pipeline.fact_table
    of_run = facts.c.run_id == run["run_id"]
    if count_rows(facts, of_run, warehouse) != sum(counts["staged"] for counts in run["counts"].values()):
        return None
    return find_changes(
        FactRows(facts, of_run),
        FactRows(table),
        warehouse,
        hidden=pipeline.personal_columns,
        hidden_keys=sorted(pipeline.personal_keys),
        dimensions=pipeline.breakdown,
    )


def list_code_differences(then: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for name, now in name_code().items():
        if then.get(name) != now:
            yield name, then.get(name, ""), now
