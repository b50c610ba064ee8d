"""What the kernel keeps the local warehouse's process from, whatever a statement looks like."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from local_warehouse import PASSWORD, LocalWarehouse, serving

SECRET = "what nobody may read"


@dataclass(frozen=True)
class Outside:
    """A folder that the server has no business in: a file to read, and room to write."""

    folder: Path

    @property
    def secret(self) -> Path:
        return self.folder / "secret.tsv"

    @property
    def loot(self) -> Path:
        return self.folder / "loot"


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalWarehouse]:
    with serving(tmp_path_factory.mktemp("warehouse")) as one:
        if not one.confined:
            pytest.skip(f"this kernel does not confine: {one.said[1]}")
        yield one


@pytest.fixture
def outside(tmp_path: Path) -> Outside:
    place = Outside(tmp_path / "outside")
    place.folder.mkdir()
    place.secret.write_text(f"{SECRET}\n")
    return place


READS = {
    "the function applied to each column": "SELECT * APPLY(file) FROM (SELECT '{secret}' AS p)",
    "the function as an argument": "SELECT arrayMap(file, ['{secret}'])",
    "the function as an argument of a fold": "SELECT arrayFold((a, p) -> concat(a, file(p)), ['{secret}'], '')",
    "the data of VALUES": "INSERT INTO texts VALUES (file('{secret}'))",
    "the data of VALUES, as an argument": "INSERT INTO texts VALUES (arrayMap(file, ['{secret}'])[1])",
    "a statement in a text": "SELECT * FROM eval('SELECT * FROM file(''{secret}'', LineAsString)')",
    "the name of a table": "SELECT * FROM eval('SELECT * FROM `default`.`{secret}`')",
}


@pytest.mark.parametrize("way", READS)
def test_no_way_of_writing_a_statement_reads_a_file_outside(
    warehouse: LocalWarehouse, outside: Outside, way: str
) -> None:
    warehouse.run("CREATE TABLE IF NOT EXISTS texts (t String) ENGINE = Memory")
    answer = warehouse.http.post("/", content=READS[way].format(secret=outside.secret))
    assert answer.status_code != 200
    assert SECRET not in answer.text
    assert warehouse.run(f"SELECT count() FROM texts WHERE t LIKE '%{SECRET}%'") == "0\n"


def test_a_refusal_of_the_kernel_is_told_as_access_denied(warehouse: LocalWarehouse, outside: Outside) -> None:
    answer = warehouse.http.post("/", content=f"SELECT * APPLY(file) FROM (SELECT '{outside.secret}' AS p)")
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (403, "497")
    assert f"Cannot open file {outside.secret}" in answer.text


def test_the_password_in_the_environment_of_the_process_is_not_read(warehouse: LocalWarehouse) -> None:
    for own in ("/proc/self/environ", "/proc/thread-self/environ"):
        assert PASSWORD not in warehouse.http.post("/", content=f"SELECT arrayMap(file, ['{own}'])").text


def test_every_thread_of_the_server_is_filtered_and_gains_no_privileges(warehouse: LocalWarehouse) -> None:
    for status in Path(f"/proc/{warehouse.process.pid}/task").glob("*/status"):
        assert {"NoNewPrivs:\t1", "Seccomp:\t2"} <= set(status.read_text().splitlines())


def test_files_that_the_process_may_have_open_are_limited_and_it_leaves_no_core(warehouse: LocalWarehouse) -> None:
    limits = Path(f"/proc/{warehouse.process.pid}/limits").read_text().splitlines()
    values = {line[:26].strip(): line[26:].split()[:2] for line in limits}
    assert 0 < int(values["Max open files"][1]) <= 65_536
    assert values["Max core file size"] == ["0", "0"]


def test_the_warehouse_works_within_its_folder_as_before_and_counts_no_errors(tmp_path: Path) -> None:
    with serving(tmp_path) as warehouse:
        run = warehouse.run
        run("CREATE TABLE fact (id Int64, night Date) ENGINE = MergeTree PARTITION BY night ORDER BY id")
        run("CREATE TABLE staging AS fact")
        run("INSERT INTO staging SELECT number, '2026-11-21' FROM numbers(500000)")
        run("ALTER TABLE fact ATTACH PARTITION ID '20261121' FROM staging")
        run("OPTIMIZE TABLE fact FINAL")
        run("EXCHANGE TABLES fact AND staging")
        spilled = "SETTINGS max_bytes_before_external_sort = 1, max_block_size = 10000"
        assert run(f"SELECT id FROM staging ORDER BY reverse(toString(id)) LIMIT 1 {spilled}") == "0\n"
        instant = "toDateTime('2026-11-21 00:00:00', 'UTC')"
        assert run(f"SELECT toTimeZone({instant}, 'Asia/Kolkata')") == "2026-11-21 05:30:00\n"
        assert warehouse.code("INSERT INTO fact FORMAT TSV\nno number\tno date\n") != 0
        assert run("SELECT name, last_error_message FROM system.errors WHERE last_error_message LIKE '%denied%'") == ""


def test_what_is_allowed_by_name_is_left_open_and_no_more(outside: Outside, tmp_path: Path) -> None:
    with serving(tmp_path / "files", "--allow", "file") as open_to:
        assert open_to.said[1] == "confined by the kernel: network; not confined by the kernel: files"
        assert open_to.run(f"SELECT file('{outside.secret}')") == f"{SECRET}\\n\n"
    with serving(tmp_path / "network", "--allow", "url") as open_to:
        assert open_to.said[1] == "confined by the kernel: files; not confined by the kernel: network"
        assert open_to.code(f"SELECT arrayMap(file, ['{outside.secret}'])") == 497


OTHER_WAYS_OUT = """
import os, socket, sys
from pathlib import Path
from sentinel_etl.local.clickhouse.confinement import confine
own = Path(sys.argv[1])
assert str(confine([own], [], frozenset())) == "confined by the kernel: files and network"
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        try:
            socket.socket(family, kind)
        except PermissionError:
            continue
        print("made", family, kind)
try:
    os.execv("/bin/true", ["true"])
except PermissionError:
    print("done")
"""


def test_the_process_makes_no_sockets_of_any_kind_and_runs_no_programs(
    warehouse: LocalWarehouse, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", OTHER_WAYS_OUT, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("done\n", "")
