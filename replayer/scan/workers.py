"""Who examines the recordings: this process, several, or a cluster.

All three take the recordings and give rows as they come, in any order, and ask for nothing more
once their generator is closed. Work is handed out in chunks of a few files, so that handing out
costs little and no worker waits long for the last one; the largest files go first.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    CancelledError,
    Future,
    ProcessPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any, Final

from recorder.errors import Unreachable
from replayer.scan.checks import Check, examine
from replayer.scan.finding import Found
from replayer.scan.rows import Row

__all__ = [
    "CONNECT_TIMEOUT_S",
    "Chunk",
    "Cluster",
    "Rows",
    "chunks_of",
    "in_processes",
    "in_this_process",
    "on_cluster",
]

Rows = Generator[Row, None, None]

CONNECT_TIMEOUT_S: Final = 10
"""So long a cluster's scheduler has to answer."""

_CHUNK_FILES: Final = 16
_CHUNK_BYTES: Final = 1024 * 1024
_PARENT_SEEN_S: Final = 0.5
_LARGE_BYTES: Final = 16 * 1024 * 1024
_AHEAD: Final = 3
"""So many chunks a worker has at hand: one that it does, and more, so that it never waits."""

_KILLED: Final = "the process that read it was killed; perhaps it took too much memory"

Chunk = tuple[Found, ...]
"""Some recordings, that one worker examines."""


def chunks_of(recordings: Sequence[Found]) -> Iterator[Chunk]:
    """Large recordings, each alone, then the others in their order, by the dozen."""
    yield from ((each,) for each in recordings if each.size_bytes >= _LARGE_BYTES)
    chunk: list[Found] = []
    size_bytes = 0
    for each in recordings:
        if each.size_bytes >= _LARGE_BYTES:
            continue
        if chunk and (len(chunk) == _CHUNK_FILES or size_bytes + each.size_bytes > _CHUNK_BYTES):
            yield tuple(chunk)
            chunk, size_bytes = [], 0
        chunk.append(each)
        size_bytes += each.size_bytes
    if chunk:
        yield tuple(chunk)


def in_this_process(check: Check, recordings: Sequence[Found]) -> Rows:
    """One after the other."""
    for found in recordings:
        yield examine(check, found)


def in_processes(check: Check, recordings: Sequence[Found], jobs: int) -> Rows:
    """In ``jobs`` processes of their own. They are killed at once when the generator is closed or
    an exception goes through it; a recording that kills its process gets a row that says so."""
    check.prepare()
    chunks = chunks_of(recordings)
    while True:
        lost: list[Chunk] = []
        yield from _in_pool(check, chunks, jobs, lost)
        if not lost:
            return
        # One of these files did it. Alone each takes nobody else with it.
        for found in [found for chunk in lost for found in chunk]:
            again: list[Chunk] = []
            yield from _in_pool(check, iter([(found,)]), 1, again)
            if again:
                yield _unanswered(check, found, _KILLED)


def _in_pool(check: Check, chunks: Iterator[Chunk], jobs: int, lost: list[Chunk]) -> Rows:
    """Rows of the chunks, until there are no more or a process died: then those that were begun
    and not answered are ``lost``."""
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(jobs, mp_context=_context(), initializer=_begin_work)
    pending: dict[Future[list[Row]], Chunk] = {}
    is_done = False
    try:
        while True:
            for chunk in islice(chunks, jobs * _AHEAD - len(pending)):
                try:
                    pending[pool.submit(_examine_all, check, chunk)] = chunk
                except BrokenProcessPool:
                    lost.append(chunk)
                    break
            if not pending:
                break
            finished, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in finished:
                chunk = pending.pop(future)
                try:
                    rows = future.result()
                except BrokenProcessPool:
                    lost.append(chunk)
                else:
                    yield from rows
            if lost:
                lost += pending.values()
                break
        is_done = True
    finally:
        if not is_done:
            for child in set(multiprocessing.active_children()) - others:
                child.kill()
        pool.shutdown(wait=True, cancel_futures=True)


def _examine_all(check: Check, chunk: Chunk) -> list[Row]:
    return [examine(check, found) for found in chunk]


def _unanswered(check: Check, found: Found, why: str) -> Row:
    return Row(
        path=found.path,
        verdict="error",
        what=why,
        size_bytes=found.size_bytes,
        seconds=0.0,
        parts=len(found.parts),
        mtime_ns=found.mtime_ns,
        check=check.key,
        retry=True,
    )


def _context() -> Any:
    # A fork starts in milliseconds with all that is imported already, and what forks here has no
    # threads. macOS frameworks do not take it.
    return multiprocessing.get_context("fork" if sys.platform == "linux" else None)


def _begin_work() -> None:
    # Ctrl-C reaches a whole group of processes; it is the parent that ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    # A parent that is killed tells nobody, and its workers would wait for work for ever.
    while os.getppid() == parent:
        time.sleep(_PARENT_SEEN_S)
    os._exit(1)


class Cluster:
    """The workers of a dask cluster, which see the files under the same paths and have this
    package. ``client`` is a ``distributed.Client``; it is closed by :meth:`close`."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.workers: int = max(1, sum(client.ncores().values()))
        """How many chunks it does at a time."""

    @classmethod
    def at(cls, address: str, *, timeout_s: float = CONNECT_TIMEOUT_S) -> Cluster:
        """Connect. Raises ImportError without the extra ``cluster``, and Unreachable if no
        scheduler answers in time, or one that has no workers."""
        from distributed import Client

        try:
            client: Any = Client(address, timeout=timeout_s)  # type: ignore[no-untyped-call]
        # ValueError: the address is none.
        except (OSError, ValueError) as exc:
            raise Unreachable(
                f"no dask scheduler answers at {address} within {timeout_s:g} s; expected the"
                " address that `dask scheduler` prints, like tcp://10.0.0.7:8786"
            ) from exc
        try:
            client.wait_for_workers(1, timeout=timeout_s)
            return cls(client)
        except TimeoutError as exc:
            client.close()
            raise Unreachable(
                f"the dask scheduler at {address} has no workers; start some with `dask worker"
                f" {address}`"
            ) from exc

    def submit(self, check: Check, chunk: Chunk) -> Any:
        """Begin; gives a future whose ``result()`` are the rows."""
        return self._client.submit(_examine_all, check, chunk, pure=False)

    def wait_for_one(self, futures: Iterable[Any]) -> Iterable[Any]:
        """Those that are done, at least one. Raises Unreachable if the cluster has gone."""
        from distributed import wait

        try:
            return set(wait(list(futures), return_when="FIRST_COMPLETED").done)  # type: ignore[no-untyped-call]
        except CancelledError as exc:
            raise Unreachable(
                "the dask cluster has gone; what was found is kept in the file of --results, and"
                " the same command goes on from it"
            ) from exc

    def close(self, futures: Iterable[Any] = ()) -> None:
        """Cancel what is not done, and hang up."""
        self._client.cancel(list(futures))
        self._client.close()


def on_cluster(check: Check, recordings: Sequence[Found], cluster: Cluster) -> Rows:
    """By the workers of a cluster. When the generator is closed, or an exception goes through it,
    what is not done is cancelled; the cluster is closed in any case. What the cluster gives up,
    since its workers died of it, gets a row that says so."""
    chunks = chunks_of(recordings)
    singly: list[Chunk] = []
    pending: dict[Any, Chunk] = {}
    try:
        while True:
            while len(pending) < cluster.workers * _AHEAD:
                chunk = singly.pop() if singly else next(chunks, ())
                if not chunk:
                    break
                pending[cluster.submit(check, chunk)] = chunk
            if not pending:
                return
            for future in cluster.wait_for_one(pending):
                chunk = pending.pop(future)
                try:
                    yield from future.result()
                except Exception as exc:  # noqa: BLE001 - whatever a worker died of
                    if len(chunk) > 1:
                        singly += [(found,) for found in chunk]
                    else:
                        yield _unanswered(check, chunk[0], f"the cluster gave it up: {exc}")
    finally:
        cluster.close(pending)
