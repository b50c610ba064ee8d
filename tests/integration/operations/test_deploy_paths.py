"""The schedule of a folder of any name: installed by deploy/README.md's own commands, once and again."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import pytest

from sentinel_etl.onboarding.project.schedule import make_schedule
from sentinel_etl.onboarding.project.write_project import render

DEPLOY = Path(__file__).parents[3] / "deploy"
NAMES = ["plain", 'it\'s 100% "Ops" & more | #1', "Zürich शहर", "back\\slash & $HOME `x`", "|&|"]


@pytest.fixture(params=NAMES)
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A checkout's folder with the schedule's templates and the Python of an environment."""
    home = tmp_path / request.param
    shutil.copytree(DEPLOY, home / "deploy")
    (home / ".venv" / "bin").mkdir(parents=True)
    (home / ".venv" / "bin" / "python").symlink_to(sys.executable)
    return home


@pytest.fixture
def crontab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the user's crontab holds; the program is a stand-in, since the real one would change this machine's."""
    kept = tmp_path / "kept"
    program = tmp_path / "bin" / "crontab"
    program.parent.mkdir()
    program.write_text(
        f"""#!/bin/sh
        case $1 in
            -l) test -e {kept} || {{ echo "no crontab for you" >&2; exit 1; }}; cat {kept};;
            -) cat > {kept}.new && mv {kept}.new {kept};;
        esac
        """,
        encoding="utf-8",
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return kept


def documented(heading: str) -> str:
    """The command of a section of deploy/README.md."""
    section = (DEPLOY / "README.md").read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2]
    found = re.search(r"^```sh\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def shell(command: str, folder: Path) -> None:
    subprocess.run(["sh", "-e", "-c", command], cwd=folder, check=True, capture_output=True, text=True, timeout=60)


def as_cron_reads(crontab: str) -> dict[str, str]:
    """The variables of a crontab, as cron's load_env reads them: a value within quotes, or to the line's end."""
    found = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", crontab, flags=re.MULTILINE):
        quoted = re.fullmatch(r"""(["'])(.*?)\1\s*""", value)
        assert quoted or value[0] not in "\"'"
        found[name] = quoted[2] if quoted else value.rstrip()
    return found


def test_the_crontab_names_the_folder_as_it_is_and_starts_the_run_there(project: Path, crontab: Path) -> None:
    shell(documented("cron"), project)
    text = crontab.read_text(encoding="utf-8")
    variables = as_cron_reads(text)
    assert variables["SENTINEL_HOME"] == str(project)
    assert (variables["MAILTO"], variables["CRON_TZ"]) == ("oncall@example.org", "Asia/Kolkata")
    program = project / ".venv" / "bin" / "sentinel-etl"
    program.write_text('#!/bin/sh\necho "$1" > ran\n', encoding="utf-8")
    program.chmod(0o755)
    (line,) = [line for line in text.splitlines() if line.startswith("0 6 * * *")]
    words = [f"{name}={value}" for name, value in variables.items()]
    subprocess.run(["env", "-i", *words, "sh", "-c", line.removeprefix("0 6 * * *")], cwd="/", check=True)
    assert (project / "ran").read_text(encoding="utf-8") == "run\n"


def test_the_crontab_s_command_given_twice_leaves_each_line_once_and_the_user_s_own(
    project: Path, crontab: Path
) -> None:
    crontab.write_text("5 4 * * * backup\n", encoding="utf-8")
    shell(documented("cron"), project)
    once = crontab.read_text(encoding="utf-8")
    shell(documented("cron").replace("oncall@example.org", "later@example.org"), project)
    twice = crontab.read_text(encoding="utf-8")
    assert twice == once.replace("oncall@example.org", "later@example.org")
    assert twice.startswith("5 4 * * * backup\n")
    assert len(re.findall(r"^\d+ \d+ \* \* \* ", twice, flags=re.MULTILINE)) == 3


def test_lines_that_were_put_in_by_hand_before_are_replaced_and_another_folder_s_stay(
    project: Path, crontab: Path
) -> None:
    before = (DEPLOY / "crontab").read_text(encoding="utf-8")
    other = before.replace("@HOME@", "/srv/other")
    crontab.write_text(before.replace("@HOME@", str(project)) + other, encoding="utf-8")
    shell(documented("cron"), project)
    text = crontab.read_text(encoding="utf-8")
    assert text.startswith(other)
    assert text.count("SENTINEL_HOME=") == 2


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here")
def test_the_units_name_the_folder_as_it_is(project: Path, tmp_path: Path) -> None:
    units = tmp_path / "units"
    units.mkdir()
    install = next(line for line in documented("systemd").splitlines() if "install.py" in line)
    shell(f"{install.removeprefix('sudo ')} --user root --into {units}", project)
    names = ["sentinel-etl.service", "sentinel-etl.timer"]
    checked = subprocess.run(
        ["systemd-analyze", "verify", *(str(units / name) for name in names)], capture_output=True, text=True
    )
    assert (checked.returncode, [line for line in checked.stderr.splitlines() if str(units) in line]) == (0, [])
    service = (units / names[0]).read_text(encoding="utf-8")
    given = dict(re.findall(r"^(WorkingDirectory|Environment|Documentation)=(.*)$", service, flags=re.MULTILINE))
    assert given["WorkingDirectory"].replace("%%", "%") == str(project)
    assert shlex.split(given["Environment"].replace("%%", "%")) == [f"SENTINEL_HOME={project}"]
    assert unquote(given["Documentation"].replace("%%", "%")) == f"file:{project}/deploy/README.md"


@pytest.mark.parametrize("wrong", ["--mail 'a; rm -rf /'", "--zone 'a b'", "--user 'x y'"])
def test_what_a_schedule_cannot_hold_is_refused_and_nothing_is_changed(
    wrong: str, project: Path, crontab: Path
) -> None:
    given = {"--mail": "a@example.org", "--zone": "UTC", **dict([wrong.split(" ", 1)])}
    options = " ".join(f"{name} {value}" for name, value in given.items())
    with pytest.raises(subprocess.CalledProcessError) as refused:
        shell(f".venv/bin/python deploy/install.py cron {options}", project)
    assert f"{wrong.split()[0]}: expected letters" in refused.value.stderr
    assert not crontab.exists()


def test_a_crontab_that_cannot_be_listed_is_left_as_it_is(project: Path, crontab: Path) -> None:
    crontab.mkdir()  # so that cat fails
    with pytest.raises(subprocess.CalledProcessError) as refused:
        shell(documented("cron"), project)
    assert "expected `crontab -l` to list what is there" in refused.value.stderr


def test_a_project_s_own_crontab_is_handed_over_by_its_first_lines_once_and_again(project: Path, crontab: Path) -> None:
    zone = ZoneInfo("Asia/Kolkata")
    values = {"at": make_schedule(zone, datetime.now(UTC), zone), "home": project, "program": project / "sentinel-etl"}
    (project / "crontab").write_text(render("crontab", values), encoding="utf-8")
    (command,) = re.findall(r"^#  +(\{ crontab .+)$", render("crontab", values), flags=re.MULTILINE)
    crontab.write_text("5 4 * * * backup\n", encoding="utf-8")
    shell(command, project)
    once = crontab.read_text(encoding="utf-8")
    variables = as_cron_reads(once)
    assert variables["SENTINEL_HOME"] == str(project)
    assert variables["SENTINEL_ETL"] == str(project / "sentinel-etl")
    shell(command, project)
    assert crontab.read_text(encoding="utf-8") == once
