"""The project's exceptions.

::

    SentinelError                   exit code 1
    ├── ConfigurationError          2   settings, EVENT_CONFIG, RISK_WEIGHTS, usage
    │   ├── WindowError             2   a window that cannot be
    │   ├── NothingThere            2   nothing is loaded yet that a question could be about
    │   └── SchemaMismatch          2   config or fact table disagrees with a live database
    ├── SourceUnreachable           3   PostgreSQL does not answer
    ├── WarehouseUnreachable        4   ClickHouse does not answer, or is too old
    ├── AuditFailed                 5   staged rows failed a blocking check; nothing published
    ├── WindowLocked                6   another run holds a partition of the window
    ├── NotebookFailed              7   the notebook failed outside the pipeline
    └── Stopped                   130   ended by Ctrl-C
        └── Terminated            143   ended by SIGTERM, as systemd and containers stop a process

Each message says what was expected, what was found and the next step to take.
"""

from __future__ import annotations

import re
from typing import ClassVar

__all__ = [
    "AuditFailed",
    "ConfigurationError",
    "NotebookFailed",
    "NothingThere",
    "SchemaMismatch",
    "SentinelError",
    "SourceUnreachable",
    "Stopped",
    "Terminated",
    "WarehouseUnreachable",
    "WindowError",
    "WindowLocked",
    "error_named",
]


def without_control_characters(text: str) -> str:
    """Write control characters by their codes: a message may repeat what a database holds.

    A terminal would obey them. Line breaks and tabs stay.
    """
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", lambda found: ascii(found[0])[1:-1], text)


class SentinelError(Exception):
    """Base of every error that the project raises on purpose.

    ``stage``, ``event_type`` and ``window`` say where it happened, where that is known.
    ``exit_code`` is what the command line exits with.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        message: str,
        *,
        stage: str | None = None,
        event_type: str | None = None,
        window: object | None = None,
    ) -> None:
        super().__init__(without_control_characters(message))
        self.stage = stage
        self.event_type = event_type
        self.window = window

    def __str__(self) -> str:
        where = [str(part) for part in (self.stage, self.event_type, self.window) if part is not None]
        message = super().__str__()
        return f"[{' · '.join(where)}] {message}" if where else message

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in a notebook: the sentence, not forty lines of frames."""
        return [f"{type(self).__name__}: {self}"]


class ConfigurationError(SentinelError):
    """Settings, EVENT_CONFIG, RISK_WEIGHTS or a command's arguments are not usable."""

    exit_code = 2


class WindowError(ConfigurationError):
    """A window without a timezone, or whose end is not after its start."""


class NothingThere(ConfigurationError):
    """Nothing is loaded yet that a question could be about."""


class SchemaMismatch(ConfigurationError):
    """The configuration or the fact table disagrees with a live database."""


class SourceUnreachable(SentinelError):
    """PostgreSQL refused the connection, or did not answer in time."""

    exit_code = 3


class WarehouseUnreachable(SentinelError):
    """ClickHouse refused the connection, did not answer in time, or is older than supported."""

    exit_code = 4


class AuditFailed(SentinelError):
    """A blocking check failed on the staged rows. Nothing was published; staging is kept."""

    exit_code = 5


class WindowLocked(SentinelError):
    """Another run holds a partition that this window touches."""

    exit_code = 6


class NotebookFailed(SentinelError):
    """The notebook stopped for a reason outside the pipeline: a cell's own error, a dead kernel."""

    exit_code = 7


class Stopped(SentinelError):
    """Ctrl-C ended it before it was done."""

    exit_code = 130


class Terminated(Stopped):
    """SIGTERM ended it before it was done."""

    exit_code = 143


def error_named(name: str) -> type[SentinelError] | None:
    """Find the error class called ``name``, as a notebook records it (``ename``)."""
    waiting: list[type[SentinelError]] = [SentinelError]
    while waiting:
        candidate = waiting.pop()
        if candidate.__name__ == name:
            return candidate
        waiting.extend(candidate.__subclasses__())
    return None
