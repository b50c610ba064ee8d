"""A Dask cluster from the driver's side: which workers are there, which one has which group, and how each ended.

A group is pinned to one worker. Where that is lost, the group has ended, and Dask tries nothing again by itself.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from sentinel_etl.errors import ConfigurationError, SentinelError, Stopped
from sentinel_etl.notebook.stopping import StopSignal
from sentinel_etl.operations.errands import Delivery, check_worker, run_errand
from sentinel_etl.settings import Settings
from sentinel_etl.wording import list_some, plural

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["Cluster", "check_workers", "connect_cluster"]

SECONDS_BETWEEN_LOOKS = 0.5


class Cluster:
    """The workers of a scheduler; any thread may ask. ``wait_seconds``: how long none may be there."""

    def __init__(self, address: str, client: Client, wait_seconds: float) -> None:
        self._address = address
        self._client = client
        self._wait_seconds = wait_seconds
        self._busy: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._gone: str = ""  # why no group can be done any more

    def workers(self) -> dict[str, int]:
        """Ask the scheduler which workers are there: address → threads.

        Raises:
            SentinelError: it does not answer.
        """
        try:
            told = self._client.sync(self._client.scheduler.identity, callback_timeout=self._wait_seconds)
        except (OSError, AttributeError) as error:  # a comm that is closed; a client that has given up
            raise SentinelError(
                f"expected the Dask scheduler at {self._address} to answer within {self._wait_seconds:g} s, found: "
                f"{type(error).__name__}"
            ) from None
        return {address: worker["nthreads"] for address, worker in told["workers"].items()}

    def refusals(self, errand: Mapping[str, Any]) -> dict[str, str]:
        """Ask each worker why it cannot do the errand: address → sentence, of those that cannot.

        Raises:
            SentinelError: the scheduler is lost.
        """
        try:
            answers = self._client.run(check_worker, errand, on_error="return")
        except OSError as error:  # a comm that is closed
            raise SentinelError(
                f"expected the Dask scheduler at {self._address} to ask its workers, found: {first_line(error)}"
            ) from None
        told = {
            address: f"{type(answer).__name__}: {answer}" if isinstance(answer, Exception) else answer
            for address, answer in answers.items()
        }
        return {address: why for address, why in told.items() if why}

    def deliver(self, errand: Mapping[str, Any], stop: StopSignal) -> Delivery:
        """Have a worker do the errand, and wait for it.

        Raises:
            ConfigurationError: the worker is not as the driver is; nothing was begun.
            SentinelError: no worker is there, or the one that had it is lost; what it was doing may go on.
            Stopped: by an interrupt; what it was doing goes on.
        """
        with self._seat(stop) as worker:
            future = self._client.submit(run_errand, errand, workers=[worker], pure=False, retries=0)
            try:
                return self._await(future, worker, stop)
            except BaseException:
                with suppress(Exception):  # a cluster that is gone has nothing to call back
                    future.cancel()
                raise

    def _await(self, future: Future[Delivery], worker: str, stop: StopSignal) -> Delivery:
        ended = threading.Event()
        future.add_done_callback(lambda _: ended.set())
        while not ended.wait(SECONDS_BETWEEN_LOOKS):
            if stop.interrupt is not None:
                raise Stopped(f"its worker {worker} goes on with it; `sentinel-etl status` tells")
            if worker not in self.workers():
                raise SentinelError(f"its worker {worker} is lost: killed, or cut off. `sentinel-etl status` tells")
        if future.status in ("cancelled", "lost"):  # nobody here has called it back
            raise SentinelError(
                f"the Dask scheduler at {self._address} is lost; its worker {worker} may go on with it. "
                "`sentinel-etl status` tells"
            )
        delivery: Delivery = future.result()
        return delivery

    @contextmanager
    def _seat(self, stop: StopSignal) -> Iterator[str]:
        """Lend a worker that has a thread free, waiting for one."""
        worker = self._take(stop)
        try:
            yield worker
        finally:
            with self._changed:
                self._busy[worker] -= 1
                self._changed.notify_all()

    def _take(self, stop: StopSignal) -> str:
        since = time.monotonic()
        with self._changed:
            while True:
                if stop.interrupt is not None:
                    raise Stopped("it was not begun")
                workers = self.workers()
                if workers:
                    self._gone, since = "", time.monotonic()
                free = {address: threads - self._busy[address] for address, threads in workers.items()}
                worker = max(free, key=lambda address: free[address], default="")
                if worker and free[worker] > 0:
                    self._busy[worker] += 1
                    return worker
                if not self._gone and not workers and time.monotonic() - since > self._wait_seconds:
                    self._gone = no_workers(self._address, self._wait_seconds)
                if self._gone:
                    raise SentinelError(self._gone)
                self._changed.wait(SECONDS_BETWEEN_LOOKS)


def no_workers(address: str, seconds: float) -> str:
    return (
        f"expected a worker at the Dask scheduler {address} within {seconds:g} s, found none. Start some "
        f"(`dask worker {address}`), each with the driver's two URLs, and run it again with --missing-only"
    )


@contextmanager
def connect_cluster(address: str, settings: Settings) -> Iterator[Cluster]:
    """Connect to a cluster that has a worker.

    Raises:
        ConfigurationError: Dask is not installed; no scheduler answers there, or none of its workers.
    """
    if find_spec("distributed") is None:
        raise ConfigurationError(
            "--dask: expected the package distributed; install it with pip install 'sentinel-warehouse-etl[dask]'"
        )
    seconds = settings.worker_wait_seconds
    try:
        client = start_client(address, settings.connect_timeout_seconds)
    except Exception as error:  # noqa: BLE001 - an address that it cannot read, TLS without certificates, and no answer
        hint = " Name the certificates (distributed.comm.tls)" if address.startswith("tls") else ""
        raise ConfigurationError(
            f"--dask: expected a Dask scheduler at {address} that answers within "
            f"{settings.connect_timeout_seconds} s, found: {first_line(error)}.{hint}"
        ) from None
    with client:
        cluster = Cluster(address, client, seconds)
        deadline = time.monotonic() + seconds
        while not cluster.workers():
            if time.monotonic() > deadline:
                raise ConfigurationError(f"--dask: {no_workers(address, seconds)}")
            time.sleep(SECONDS_BETWEEN_LOOKS)
        yield cluster


def start_client(address: str, seconds: float) -> Any:
    """Start Dask's client; one that does not start is closed before its error is raised.

    Left to the garbage collector it would be closed whenever that comes: while another client starts, too, and then
    both would wait for one lock (`LoopRunner`'s, distributed 2026.8) for ever.
    """
    from distributed import Client

    class ClosedClient(Client):  # type: ignore[misc]  # distributed has no types
        def start(self, **options: Any) -> None:
            try:
                super().start(**options)
            except BaseException:
                self.close()
                raise

    return ClosedClient(address, timeout=seconds)


def check_workers(cluster: Cluster, errand: Mapping[str, Any]) -> None:
    """Refuse a cluster of which a worker is not as the driver is, before anything is begun.

    Raises:
        ConfigurationError: naming each such worker and why.
    """
    refused = cluster.refusals(errand)
    if refused:
        told = list_some((f"{address}: {why}" for address, why in sorted(refused.items())), 3, "; ", "worker")
        raise ConfigurationError(f"--dask: {len(refused)} {plural(len(refused), 'worker')} cannot take part: {told}")


def first_line(error: Exception) -> str:
    """Write an error's first line; its class where it is nothing that has to do with an address."""
    text = next(iter(str(error).strip().splitlines()), "").rstrip(".")
    return text if text and isinstance(error, OSError | ValueError) else f"{type(error).__name__}: {text}".rstrip(": ")
