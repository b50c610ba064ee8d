"""A small live load, in a process of its own: clients that report and correct, each at its own pace.

Each transaction inserts a patrol log and updates its patrol, by primary key, and commits. When standard input
closes, each one's start, on the machine's monotonic clock, and its seconds are printed as JSON. For `impact`.

    SENTINEL_BENCH_SOURCE=postgresql://… python -m benchmarks.oltp 4 20
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
import time

import psycopg

INSERT = """
INSERT INTO patrol_logs (patrol_log_id, patrol_id, created_by_officer_id, patrol_status, latitude, longitude,
    accuracy, created_at, received_at)
SELECT %(id)s, patrol_id, assigned_to_officer_id, 'paused', 12.97, 77.59, 5, now(), now()
  FROM patrols WHERE patrol_id = %(patrol)s
"""
UPDATE = "UPDATE patrols SET patrol_status = patrol_status WHERE patrol_id = %(patrol)s"
Transaction = tuple[float, float]  # when it began, and its seconds
FIRST_ID = 9_000_000_000_000_000  # beyond those of any night


def serve(client: int, a_second: float, patrols: list[int], stop: threading.Event, seen: list[Transaction]) -> None:
    """Commit ``a_second`` transactions a second, and note when each began and how long it took."""
    chance = random.Random(client)  # noqa: S311
    with psycopg.connect(os.environ["SENTINEL_BENCH_SOURCE"]) as connection:
        number = 0
        while not stop.is_set():
            given = {"id": FIRST_ID + client * 10_000_000 + number, "patrol": chance.choice(patrols)}
            started = time.monotonic()
            connection.execute(INSERT, given)
            connection.execute(UPDATE, given)
            connection.commit()
            seen.append((started, time.monotonic() - started))
            number += 1
            time.sleep(chance.expovariate(a_second))


def main(clients: str, a_second: str) -> None:
    url = os.environ["SENTINEL_BENCH_SOURCE"]
    with psycopg.connect(url) as connection:
        patrols = [row[0] for row in connection.execute("SELECT patrol_id FROM patrols LIMIT 20000")]
        connection.execute("DELETE FROM patrol_logs WHERE patrol_log_id >= %s", [FIRST_ID])
    stop = threading.Event()
    seen: list[list[Transaction]] = [[] for _ in range(int(clients))]
    threads = [
        threading.Thread(target=serve, args=(client, float(a_second), patrols, stop, seen[client]))
        for client in range(int(clients))
    ]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()
    with psycopg.connect(url) as connection:
        connection.execute("DELETE FROM patrol_logs WHERE patrol_log_id >= %s", [FIRST_ID])
    print(json.dumps([transaction for client in seen for transaction in client]))


if __name__ == "__main__":
    main(*sys.argv[1:])
