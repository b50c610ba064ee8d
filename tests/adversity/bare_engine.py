"""A process that runs statements on the bare engine: no rights, no guard, confined by the kernel or not at all.

It reads a JSON list of statements a line, runs them in turn on a connection of their own, and writes a JSON
line: what they gave, and what they failed with. Where the first argument is ``confined``, nothing but the
kernel keeps them in.
"""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path

from sentinel_etl.local.clickhouse.confinement import confine


def main(how: str, folder: Path) -> None:
    own = [folder / "tmp", folder / "engine"]
    for one in own:
        one.mkdir(parents=True, exist_ok=True)
    if how == "confined":
        confinement = confine(own, [], frozenset())
        assert confinement.files
        assert confinement.network
    from chdb.state.sqlitelike import Connection

    answers = sys.stdout
    keeper = Connection(str(own[1]))
    keeper.query("CREATE DATABASE IF NOT EXISTS sentinel ENGINE = Atomic")
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        said = []
        connection = Connection(f"{own[1]}?database=sentinel")
        for statement in json.loads(line):
            try:
                # SELECT … INTO OUTFILE '/dev/stdout' is not what is tried here.
                with redirect_stdout(sys.stderr):
                    said.append(connection.query(statement, "TabSeparated").bytes().decode(errors="replace"))
            except RuntimeError as error:
                said.append(str(error))
        connection.close()
        print(json.dumps(said), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
