"""Keeps what a run has read, as Arrow files, and reads it again: `SENTINEL_KEEP_EXTRACT`."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sentinel_etl.arrow import as_arrow, as_frame
from sentinel_etl.errors import ConfigurationError, SentinelError
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.transform.facts import text_length
from sentinel_etl.transform.personal import protect_columns
from sentinel_etl.transform.steps import Steps

__all__ = ["extract_folder", "keep_batches", "read_extract"]

log = logging.getLogger(__name__)

UNFINISHED = ".part"
# In a file's schema: the event type, whose name may have characters that a file's may not.
EVENT_TYPE = b"event_type"


def extract_folder(runs_dir: Path, run_id: str) -> Path:
    return runs_dir / "extracts" / run_id


def keep_batches(
    batches: Iterator[dict[str, pd.DataFrame]], folder: Path, pipeline: Pipeline
) -> Iterator[dict[str, pd.DataFrame]]:
    """Pass batches on, and keep each event type's rows in an Arrow file; what goes wrong there is a warning.

    Columns: what `extract_data` gives. Personal ones are protected as the pipeline says, and the lengths of such texts
    stand beside them. The folder gets its name when all is in it; an interruption leaves one that ends in ``.part``.
    """
    kept = Keeper(folder, pipeline)
    for frames in batches:
        kept.keep(frames)
        yield frames
    kept.finish()


class Keeper:
    """Writes a run's batches to files, until something goes wrong."""

    def __init__(self, folder: Path, pipeline: Pipeline) -> None:
        self.folder, self.unfinished = folder, folder.with_name(folder.name + UNFINISHED)
        self.pipeline = pipeline
        self.writers: dict[str, pa.ipc.RecordBatchFileWriter] = {}
        self.failed = False

    def keep(self, frames: Mapping[str, pd.DataFrame]) -> None:
        if self.failed:
            return
        try:
            for name, frame in frames.items():
                table = protect(as_arrow(frame), name, self.pipeline)
                self.writer(name, table.schema).write_table(table)
        except (OSError, pa.ArrowException, SentinelError) as error:
            self.fail(error)

    def writer(self, name: str, schema: pa.Schema) -> pa.ipc.RecordBatchFileWriter:
        if name not in self.writers:
            self.unfinished.mkdir(parents=True, exist_ok=True)
            file = self.unfinished / f"{len(self.writers) + 1:02d}_{re.sub(r'[^A-Za-z0-9_-]', '_', name)}.arrow"
            self.writers[name] = pa.ipc.new_file(str(file), schema.with_metadata({EVENT_TYPE: name}))
        return self.writers[name]

    def finish(self) -> None:
        if self.failed:
            return
        try:
            for writer in self.writers.values():
                writer.close()
            self.unfinished.mkdir(parents=True, exist_ok=True)  # of a window without a row
            self.unfinished.replace(self.folder)
        except (OSError, pa.ArrowException) as error:
            self.fail(error)

    def fail(self, error: Exception) -> None:
        self.failed = True
        shutil.rmtree(self.unfinished, ignore_errors=True)
        log.warning("what the run read was not kept in %s: %s. The night is not concerned", self.folder, error)


def protect(rows: pa.Table, event_type: str, pipeline: Pipeline) -> pa.Table:
    """Protect the personal columns of what was read; what is derived from them is derived before."""
    if pipeline.pii == "keep":
        return rows
    kinds = pa.chunked_array([pa.repeat(pa.scalar(event_type), rows.num_rows)])
    lengths = {}
    for target, source in pipeline.text_lengths.items():
        texts = [name for name in pipeline.coalesce.get(source, (source,)) if name in rows.column_names]
        if source in pipeline.personal_columns and texts:
            lengths[target] = text_length(pc.coalesce(*(rows[name].cast(pa.string()) for name in texts)))
    rows = protect_columns(rows, pipeline, Steps(kinds))
    for target, column in lengths.items():
        rows = rows.append_column(target, column)
    return rows


def read_extract(folder: Path) -> Iterator[dict[str, pd.DataFrame]]:
    """Read a kept extract, an event type at a time: {event type: frame}.

    Raises:
        ConfigurationError: a file that cannot be read.
    """
    for file in sorted(folder.glob("*.arrow")):
        try:
            with pa.OSFile(str(file)) as source:
                rows = pa.ipc.open_file(source).read_all()
        except (OSError, pa.ArrowException) as error:
            raise ConfigurationError(
                f"kept extract: expected an Arrow file at {file}, found one that cannot be read: {error}. Remove its "
                "folder to replay from the source alone"
            ) from error
        yield {rows.schema.metadata[EVENT_TYPE].decode(): as_frame(rows.replace_schema_metadata(None))}
