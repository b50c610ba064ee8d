"""``sentinel-etl``: each command parses, calls one library function and prints what it returns."""

from __future__ import annotations

import atexit
import gc
import io
import logging
import signal
import sys
import traceback
from dataclasses import dataclass
from typing import NoReturn

import click

from sentinel_etl.cli.init import init
from sentinel_etl.cli.inspect import check, plan, status
from sentinel_etl.cli.lineage import lineage
from sentinel_etl.cli.local import local
from sentinel_etl.cli.query import query
from sentinel_etl.cli.run import backfill, demo, reconcile, run
from sentinel_etl.cli.runs import runs
from sentinel_etl.cli.schema import schema
from sentinel_etl.cli.suggest import suggest
from sentinel_etl.cli.versions import diff, replay, undo
from sentinel_etl.errors import ConfigurationError, SentinelError
from sentinel_etl.notebook.interrupts import Termination, stopped_by

__all__ = ["cli", "main"]

# A command's imports make some 200,000 objects that stay. Python would look for garbage among them at every 700, and
# once more as it ends: half of a short command's time. https://docs.python.org/3/library/gc.html#gc.set_threshold
OBJECTS_BEFORE_COLLECTING = 50_000


@dataclass
class Options:
    """What the command line says before any command."""

    verbose: bool = False


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--verbose", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="sentinel-warehouse-etl")
@click.pass_context
def cli(context: click.Context, verbose: bool) -> None:
    """Move a night of patrol events from PostgreSQL into ClickHouse, and report on it.

    Exit codes: 0 done; 1 unexpected; 2 usage or configuration; 3 source unreachable; 4 warehouse
    unreachable; 5 audit failed, nothing published; 6 another run holds the window; 7 notebook failed
    elsewhere; 130 ended by Ctrl-C; 143 ended by SIGTERM.
    """
    context.ensure_object(Options).verbose = verbose


for command in (
    init,
    run,
    demo,
    backfill,
    plan,
    lineage,
    check,
    suggest,
    status,
    reconcile,
    query,
    undo,
    diff,
    replay,
    local,
    runs,
    schema,
):
    cli.add_command(command)


def main() -> None:
    """Run the command line; every error is one sentence and the exit code of its class."""
    leave_out_iri_grammar()
    print_whatever_the_terminal()
    configure_logging()
    before, thresholds = signal.signal(signal.SIGTERM, terminate), gc.get_threshold()
    gc.set_threshold(OBJECTS_BEFORE_COLLECTING, *thresholds[1:])
    atexit.register(gc.freeze)  # nothing needs to be freed as the process ends
    options = Options()
    try:
        code = cli.main(standalone_mode=False, obj=options)
    except (click.exceptions.Abort, KeyboardInterrupt) as error:
        # click makes an Abort of a KeyboardInterrupt, and of a question that is not answered.
        interrupt = error if isinstance(error, KeyboardInterrupt) else error.__cause__
        if not isinstance(interrupt, KeyboardInterrupt):
            sys.exit("stopped")
        stopped = stopped_by(interrupt, "run it again")
        fail(stopped, stopped.exit_code, options)
    except click.ClickException as error:
        error.show()
        sys.exit(ConfigurationError.exit_code)
    except SentinelError as error:
        fail(error, error.exit_code, options)
    except Exception as error:  # noqa: BLE001 - the last resort, so that cron's mail is one sentence
        fail(error, SentinelError.exit_code, options)
    finally:
        signal.signal(signal.SIGTERM, before)
        gc.set_threshold(*thresholds)
    sys.exit(code if isinstance(code, int) else 0)


def terminate(signum: int, frame: object) -> NoReturn:
    """End what is under way as Ctrl-C ends it."""
    raise Termination


def leave_out_iri_grammar() -> None:
    """Keep nbformat's jsonschema from reading the grammar of IRIs, where JupyterLab has brought it.

    It takes two seconds of each command that runs a notebook, and jsonschema does as well without: no notebook has
    an IRI. It reads it when it is imported, in the process that starts the kernel, and asks nobody; what is None in
    ``sys.modules`` cannot be imported (https://docs.python.org/3/reference/import.html#the-module-cache).
    """
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]


def print_whatever_the_terminal() -> None:
    """Write by its code what the terminal's encoding has no letter for, such as an arrow: no message fails for it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class PlainFormatter(logging.Formatter):
    """Writes ``warning: what happened``."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{record.levelname.lower()}: {record.getMessage()}"


def configure_logging() -> None:
    """Let the package's warnings read as one line on stderr; other packages' logs stay as they are."""
    handler = logging.StreamHandler()
    handler.setFormatter(PlainFormatter())
    logger = logging.getLogger("sentinel_etl")
    logger.addHandler(handler)
    logger.propagate = False


def fail(error: Exception, code: int, options: Options) -> NoReturn:
    if options.verbose:
        traceback.print_exception(error)
    else:
        hint = "" if isinstance(error, SentinelError) else "; run again with --verbose for the traceback"
        kind = "" if isinstance(error, SentinelError) else f"unexpected {type(error).__name__}: "
        click.echo(f"sentinel-etl: {kind}{error}{hint}", err=True)
        for note in getattr(error, "__notes__", ()):
            click.echo(note, err=True)
    sys.exit(code)
