"""Runs the examples of the pages, in order, in one home folder with a local stack of its own.

``console``  commands after a ``$``, each followed by what it prints
``pycon``    Python after ``>>>`` and ``...``, each followed by what it prints
``sql``      statements that the source gets
``python``   whose first line is ``# name.py``: a module in the home folder
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from doc_pages import CHECKOUT, FENCE, PAGES, name_page, read, read_prompted

from sentinel_etl.local.stack import start_stack

NOW = "2026-11-22T06:10:00+05:30"
CHILD = Path(__file__).with_name("doc_example_child.py")
PRINTING = ("console", "pycon")


@dataclass
class Session:
    """A home folder in which examples run; ``exit_code`` and ``printed`` are the last command's."""

    home: Path
    environment: dict[str, str] = field(repr=False)
    exit_code: int = 0
    printed: str = ""

    def run_example(self, language: str, body: str) -> str:
        """Run one block and give it back with what it prints now."""
        if language == "console":
            shown = [f"$ {command}{self.run_command(command.strip())}" for command in read_prompted(body)]
            self.expect_success()
            return "".join(shown)
        if language == "python":
            if named := re.match(r"# (\w+\.py)\n", body):
                (self.home / named[1]).write_text(body, encoding="utf-8")
            return body
        return self.run_child(language, body) or body

    def run_command(self, command: str) -> str:
        """Run a command as a shell does. One that fails is an error, unless the page then asks for ``$?``."""
        if command != "echo $?":
            self.expect_success()
        # `make demo` would first make an environment; what it runs then is this.
        script = command.replace("make demo", "sentinel-etl demo")
        urls = self.stack_urls() if command.startswith("sentinel-etl init") else {}
        done = self.start(["sh", "-c", f"(exit {self.exit_code}); {script}"], **urls)
        self.exit_code, self.printed = done.returncode, done.stdout
        return self.clean(done.stdout)

    def stack_urls(self) -> dict[str, str]:
        """Name the local stack's databases, as a user has those that run elsewhere in the environment."""
        stack = start_stack(self.home / ".sentinel")
        return {"SENTINEL_SOURCE_URL": stack.source_url, "SENTINEL_WAREHOUSE_URL": stack.warehouse_url}

    def expect_success(self) -> None:
        if self.exit_code:
            raise RuntimeError(f"expected exit code 0, or `echo $?` after it; found {self.exit_code}: {self.printed}")

    def run_child(self, language: str, body: str) -> str:
        done = self.start([sys.executable, str(CHILD), language], body)
        if done.returncode:
            raise RuntimeError(f"{body}\nexited {done.returncode}:\n{done.stdout}")
        return self.clean(done.stdout)

    def start(self, command: list[str], given: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.home,
            env={**self.environment, **settings},
            input=given,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def clean(self, output: str) -> str:
        """Leave out this machine's folder, progress bars, and blanks at the ends of lines."""
        shown = output.replace(str(self.home), "…")
        shown = re.sub(r"^\n?(?: *\d+%\|.*\n)+", "", shown, flags=re.MULTILINE)
        return "".join(f"{line.rstrip()}\n" for line in shown.splitlines())


@contextmanager
def open_session() -> Iterator[Session]:
    with tempfile.TemporaryDirectory(prefix="sentinel-") as folder:
        home = Path(folder).resolve()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SENTINEL_")}
        environment |= {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]]),
            "PYTHONPATH": str(CHECKOUT),
            "SENTINEL_NOW": NOW,
        }
        # It makes the folder a home, as a user's URLs would.
        (home / ".env").write_text(f"SENTINEL_NOW={NOW}\n", encoding="utf-8")
        session = Session(home, environment)
        try:
            yield session
        finally:
            session.start(["sentinel-etl", "local", "down"])


def run_pages() -> dict[Path, str]:
    """Run the examples of all pages, and give each page's text as it should be.

    Raises:
        RuntimeError: an example that fails where the page does not say so.
    """
    with open_session() as session:
        return {page: run_page(page, session) for page in PAGES}


def run_page(page: Path, session: Session) -> str:
    def run_fence(found: re.Match[str]) -> str:
        language, body = found["language"], found["body"]
        if language not in (*PRINTING, "sql", "python"):
            return found[0]
        try:
            shown = session.run_example(language, body)
        except RuntimeError as error:
            raise RuntimeError(f"{name_page(page)}: {error}") from error
        return f"```{language}\n{body if hide_volatile(shown) == hide_volatile(body) else shown}```"

    return FENCE.sub(run_fence, read(page))


def hide_volatile(text: str) -> str:
    """Hide what differs from run to run: run ids, the seconds that a run took, and the local stack's ports."""
    text = re.sub(r"(?<=127\.0\.0\.1:)\d{4,5}(?=, database)", "PORT", text)
    text = re.sub(r"\d{8}t\d{6}_[0-9a-f]{6}", "RUN_ID", text)
    return re.sub(r" +\d+\.\d(?= +(?:runs/|no file))", " SECONDS", text)


def printing_fences(text: str) -> list[str]:
    return [found["body"] for found in FENCE.finditer(text) if found["language"] in PRINTING]
