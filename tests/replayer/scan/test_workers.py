"""Whoever examines the recordings, the rows are the same."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.errors import Unreachable
from replayer.scan.finding import Found, find
from replayer.scan.rows import Row
from replayer.scan.workers import (
    Cluster,
    chunks_of,
    in_processes,
    in_this_process,
    on_cluster,
)
from tests.profiles import examples
from tests.replayer.recordings import session, write
from tests.replayer.scan.stand_ins import ByName, found

CHECK = ByName()
MB = 1024 * 1024


@pytest.fixture
def recordings(tmp_path: Path) -> list[Found]:
    whole = write(tmp_path / "kept-0.track.jsonl", session()).read_bytes()
    for name in ("kept-1", "broken-1", "undecided-1", "bug-1", "kept-2"):
        (tmp_path / f"{name}.track.jsonl").write_bytes(whole)
    (tmp_path / "kept-3.track.jsonl").write_text("no recording at all\n")
    return find([str(tmp_path)])


def without_times(rows: Iterable[Row]) -> list[Row]:
    replaced = [msgspec.structs.replace(row, seconds=0.0) for row in rows]
    return sorted(replaced, key=lambda row: row.path)


def test_each_recording_has_a_row_whatever_is_wrong_with_it(recordings: list[Found]) -> None:
    rows = {
        Path(row.path).name.partition(".")[0]: row for row in in_this_process(CHECK, recordings)
    }
    assert {name: row.verdict for name, row in rows.items()} == {
        "broken-1": "broken",
        "bug-1": "error",
        "kept-0": "kept",
        "kept-1": "kept",
        "kept-2": "kept",
        "kept-3": "error",
        "undecided-1": "undecided",
    }
    assert rows["bug-1"].what == "a bug in the check: ZeroDivisionError: of the check"
    assert rows["bug-1"].retry
    assert "is no recording" in rows["kept-3"].what
    assert not rows["kept-3"].retry


def test_processes_find_the_same(recordings: list[Found]) -> None:
    here = without_times(in_this_process(CHECK, recordings))
    assert without_times(in_processes(CHECK, recordings, 2)) == here


def test_a_recording_that_kills_who_reads_it_costs_no_other(
    tmp_path: Path, recordings: list[Found]
) -> None:
    path = tmp_path / "killer.track.jsonl"
    path.write_bytes(Path(recordings[0].path).read_bytes())
    rows = without_times(in_processes(CHECK, [*recordings, found(path)], 2))
    (killer,) = (row for row in rows if row.path == str(path))
    assert killer.what == "the process that read it was killed; perhaps it took too much memory"
    assert (killer.verdict, killer.retry) == ("error", True)
    others = [row for row in rows if row != killer]
    assert others == without_times(in_this_process(CHECK, recordings))


def test_processes_end_at_once_when_nobody_wants_more(
    tmp_path: Path, recordings: list[Found]
) -> None:
    endless = tmp_path / "endless.track.jsonl"
    # Whoever opens it waits for a writer that never comes.
    os.mkfifo(endless)
    rows = in_processes(CHECK, [found(endless, 32 * MB), *recordings], 2)
    with closing(rows):
        assert next(rows).verdict == "broken"
    assert not multiprocessing.active_children()


@settings(max_examples=examples(50))
@given(st.lists(st.sampled_from([0, 1, 100_000, MB, 20 * MB]), max_size=60))
def test_chunks_hold_each_recording_once_and_not_too_many(sizes: list[int]) -> None:
    recordings = [found(f"{number:03}", size) for number, size in enumerate(sizes)]
    chunks = list(chunks_of(recordings))
    assert sorted(each.path for chunk in chunks for each in chunk) == [
        each.path for each in recordings
    ]
    for chunk in chunks:
        assert 0 < len(chunk) <= 16
        assert len(chunk) == 1 or sum(each.size_bytes for each in chunk) <= MB
    larges = [len(chunk) == 1 and chunk[0].size_bytes == 20 * MB for chunk in chunks]
    assert larges == sorted(larges, reverse=True)


class FakeClient:
    """What a dask client does, by threads. A chunk with a ``killer`` is given up."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(2)
        self.cancelled: list[Any] | None = None
        self.is_closed = False
        self.chunks: list[int] = []

    def ncores(self) -> dict[str, int]:
        return {"tcp://one": 2}

    def submit(self, function: Any, check: Any, chunk: Any, *, pure: bool) -> Future[Any]:
        assert not pure
        self.chunks.append(len(chunk))
        if any("killer" in each.path for each in chunk):
            future: Future[Any] = Future()
            future.set_exception(RuntimeError("its workers died"))
            return future
        return self.pool.submit(function, check, chunk)

    def cancel(self, futures: list[Any]) -> None:
        self.cancelled = futures

    def close(self) -> None:
        self.is_closed = True
        self.pool.shutdown()


@pytest.fixture
def fake_dask(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """In the place of dask.distributed, which takes a second to import."""
    module = ModuleType("distributed")
    module.wait = lambda futures, return_when: wait(futures, return_when=FIRST_COMPLETED)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "distributed", module)
    return module


@pytest.mark.usefixtures("fake_dask")
def test_a_cluster_finds_the_same(recordings: list[Found]) -> None:
    client = FakeClient()
    killer = found("killer.track.jsonl")
    rows = without_times(on_cluster(CHECK, [killer, *recordings], Cluster(client)))
    given_up = next(row for row in rows if row.path == killer.path)
    assert given_up.what == "the cluster gave it up: its workers died"
    assert given_up.retry
    rows.remove(given_up)
    assert rows == without_times(in_this_process(CHECK, recordings))
    assert client.chunks[:2] == [8, 1]
    assert client.is_closed
    assert client.cancelled == []


@pytest.mark.usefixtures("fake_dask")
def test_all_of_many_recordings_have_a_row(tmp_path: Path) -> None:
    whole = write(tmp_path / "kept.track.jsonl", session()).read_bytes()
    for number in range(200):
        (tmp_path / f"kept-{number}.track.jsonl").write_bytes(whole)
    recordings = find([str(tmp_path)])
    paths = [each.path for each in recordings]
    for rows in (
        on_cluster(CHECK, recordings, Cluster(FakeClient())),
        in_processes(CHECK, recordings, 2),
    ):
        assert [row.path for row in without_times(rows)] == paths


def test_a_cluster_that_goes_is_an_error_and_is_hung_up(
    recordings: list[Found], fake_dask: ModuleType
) -> None:
    def gone(futures: Any, return_when: Any) -> Any:
        raise CancelledError

    fake_dask.wait = gone  # type: ignore[attr-defined]
    client = FakeClient()
    with pytest.raises(Unreachable, match="goes on from it"):
        list(on_cluster(CHECK, recordings, Cluster(client)))
    assert client.is_closed
    assert client.cancelled


@pytest.mark.parametrize("raised", [OSError("timed out"), ValueError("no address")])
def test_a_scheduler_that_does_not_answer_is_unreachable(
    fake_dask: ModuleType, raised: Exception
) -> None:
    def client(address: str, *, timeout: float) -> Any:
        assert timeout == 10
        raise raised

    fake_dask.Client = client  # type: ignore[attr-defined]
    with pytest.raises(Unreachable, match=r"no dask scheduler answers at .* within 10 s"):
        Cluster.at("tcp://127.0.0.1:1")


@pytest.fixture
def scheduler() -> Iterator[str]:
    """The address of a real cluster: two workers, threads of this process, on loopback."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=False,
        dashboard_address="127.0.0.1:0",
        host="127.0.0.1",
        protocol="tcp",
    ) as cluster:
        yield cluster.scheduler_address


@pytest.mark.filterwarnings("ignore")
def test_a_real_cluster_finds_the_same(scheduler: str, recordings: list[Found]) -> None:
    rows = on_cluster(CHECK, recordings, Cluster.at(scheduler))
    assert without_times(rows) == without_times(in_this_process(CHECK, recordings))
