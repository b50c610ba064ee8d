"""Installs the schedule of the folder that this one stands in, whatever its path: python deploy/install.py --help."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

DEPLOY = Path(__file__).resolve().parent
HOME = DEPLOY.parent

# A block of ours without its marks, as it was installed by hand before there were any.
UNMARKED = re.compile(
    r"^# The nightly run at 06:00, .*?^45 6 [^\n]*\n(?:# To see today[^\n]*\n#?5 [^\n]*\n)?",
    flags=re.MULTILINE | re.DOTALL,
)

# What may stand in a template unquoted: an address or several, a user, a zone.
PLAIN = {"@MAIL@": r"[\w.+@,-]+", "@USER@": r"[\w.-]+", "@ZONE@": r"[\w/+-]+"}


def environment_line(path: str) -> str:
    """Quote an assignment for a unit: https://www.freedesktop.org/software/systemd/man/latest/systemd.syntax.html"""
    assignment = f"SENTINEL_HOME={path}"
    if re.search(r"[\s\"'\\]", path):
        escaped = assignment.replace("\\", "\\\\").replace('"', '\\"')
        assignment = f'"{escaped}"'
    return f"Environment={assignment}"


# What a unit says of the folder, by the template's line. Then each % is doubled, as it begins a specifier.
# https://www.freedesktop.org/software/systemd/man/latest/systemd.unit.html#Specifiers
UNIT_LINES: Mapping[str, Callable[[str], str]] = {
    "Documentation=file:@HOME@/deploy/README.md": lambda path: f"Documentation=file:{quote(path)}/deploy/README.md",
    "WorkingDirectory=@HOME@": lambda path: f"WorkingDirectory={path}",
    "Environment=SENTINEL_HOME=@HOME@": environment_line,
}


def fill_in(name: str, values: Mapping[str, str]) -> str:
    """Read a template and put the values in; the folder where and as the file's format has it."""
    lines = (DEPLOY / name).read_text(encoding="utf-8").splitlines()
    if name != "crontab":
        lines = [UNIT_LINES[line](str(HOME)).replace("%", "%%") if line in UNIT_LINES else line for line in lines]
    text = "\n".join([*lines, ""]).replace("SENTINEL_HOME=@HOME@", f"SENTINEL_HOME={HOME}")
    for placeholder, value in values.items():
        text = text.replace(placeholder, value)
    return text


def without_ours(crontab: str) -> str:
    """Take out of a crontab what an earlier start of this program, or of its forerunner, has put in for this folder."""
    begin, end = marks()
    kept, within = [], False
    for line in crontab.splitlines(keepends=True):
        within = within or line.rstrip("\n") == begin
        if not within:
            kept.append(line)
        within = within and line.rstrip("\n") != end
    unmarked = f"\nSENTINEL_HOME={HOME}\n"
    return UNMARKED.sub(lambda found: "" if unmarked in found[0] else found[0], "".join(kept))


def marks() -> tuple[str, str]:
    return f"# begin sentinel-etl {HOME}", f"# end sentinel-etl {HOME}"


def install_crontab(values: Mapping[str, str]) -> None:
    """Put the crontab's lines after those that the user has, once: what is there for this folder is replaced."""
    found = subprocess.run(["crontab", "-l"], capture_output=True, text=True)  # noqa: S607 - whichever cron has
    if found.returncode and "no crontab" not in found.stderr:
        sys.exit(f"install: expected `crontab -l` to list what is there, found: {found.stderr.strip()}")
    begin, end = marks()
    before = without_ours(found.stdout)
    text = f"{before}{begin}\n{fill_in('crontab', values)}{end}\n"
    subprocess.run(["crontab", "-"], input=text, text=True, check=True)  # noqa: S607


def install_units(values: Mapping[str, str], into: Path) -> None:
    """Write the service and the timer."""
    for name in ("sentinel-etl.service", "sentinel-etl.timer"):
        (into / name).write_text(fill_in(name, values), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Install the nightly run of this folder.")
    parser.add_argument("kind", choices=["cron", "systemd"], help="cron: as its user; systemd: as root")
    parser.add_argument("--mail", required=True, help="who is told of a failure")
    parser.add_argument("--zone", required=True, help="SENTINEL_TIMEZONE")
    parser.add_argument("--user", default="sentinel", help="who runs it, with systemd")
    parser.add_argument("--into", type=Path, default=Path("/etc/systemd/system"), help="where systemd's units go")
    given = parser.parse_args()
    values = {"@MAIL@": given.mail, "@ZONE@": given.zone, "@USER@": given.user}
    for placeholder, pattern in PLAIN.items():
        if not re.fullmatch(pattern, values[placeholder]):
            option = placeholder.strip("@").lower()
            parser.error(f"--{option}: expected letters, digits and . + @ , / _ - only, found {values[placeholder]!r}")
    if re.search(r"[\x00-\x1f]", str(HOME)):
        parser.error(f"expected a folder without line breaks in its path, found {str(HOME)!r}")
    if given.kind == "systemd":
        install_units(values, given.into)
    elif shutil.which("crontab"):
        install_crontab(values)
    else:
        parser.error("expected the program crontab on PATH, found none. Install cron, or choose systemd")


if __name__ == "__main__":
    main()
