"""The clockwork beside a writer: flush and sync when they are due, sleep when nothing is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeVar

from recorder.errors import DiskFailed
from recorder.model import KnownEntry, UnknownEntry

__all__ = ["EntryWriter", "keep_durable"]

_E = TypeVar("_E", bound="KnownEntry | UnknownEntry")


class EntryWriter(Protocol):
    """What takes the entries of a live recording: a :class:`~recorder.recording.Writer`, whose
    attributes and methods these are, or a :class:`~recorder.recording.Series`.
    """

    on_write: Callable[[], None]

    @property
    def name(self) -> str:
        """The path that messages name."""

    @property
    def clock(self) -> Callable[[], int]:
        """Gives monotonic nanoseconds."""

    @property
    def offset_ns(self) -> int | None:
        """The highest offset so far."""

    @property
    def due_ns(self) -> int | None:
        """When to flush."""

    @property
    def sync_due_ns(self) -> int | None:
        """When to flush and sync."""

    @property
    def size_bytes(self) -> int:
        """How big the recording is."""

    def write(self, entry: _E) -> _E:
        """Append an entry."""

    def flush(self) -> None:
        """Hand everything to the operating system."""

    def sync(self) -> None:
        """Wait for the disk. Runs in any thread."""

    def tick(self, now_ns: int) -> None:
        """Do what the offset ``now_ns`` alone asks for."""

    def close(
        self, redaction: Mapping[str, int] | None = None, *, offset_ns: int | None = None
    ) -> None:
        """Write the ``end`` and close."""

    def abort(self) -> None:
        """Close without an ``end``."""


async def keep_durable(writer: EntryWriter) -> None:
    """Flush ``writer`` when its oldest unflushed line is 100 ms old, and sync it when its oldest
    unsynced one is 1 s old.

    The intervals are the writer's own. Runs until it is cancelled, as a task beside whatever
    writes; the writer is not closed. Syncing happens in a worker thread, so that a slow disk holds
    up neither writing nor flushing; being cancelled waits for a sync that has begun.

    *Error handling.* Raises DiskFailed, by itself and in no group, when a flush or a sync fails.
    """
    # Imported here: who reads recordings only would wait an eighth of a second for it.
    import trio

    failures: list[DiskFailed] = []
    written = trio.Event()

    def wake() -> None:
        nonlocal written
        written.set()
        written = trio.Event()

    async def repeat(due: Callable[[], int | None], act: Callable[[], Awaitable[None]]) -> None:
        try:
            while True:
                due_ns = due()
                if due_ns is None:
                    await written.wait()
                elif (remaining_ns := due_ns - writer.clock()) > 0:
                    await trio.sleep(remaining_ns / 1e9)
                else:
                    await act()
        except DiskFailed as exc:
            failures.append(exc)
            nursery.cancel_scope.cancel()

    async def flush() -> None:
        await trio.lowlevel.checkpoint()
        writer.flush()

    async def sync() -> None:
        await flush()
        await trio.to_thread.run_sync(writer.sync)

    writer.on_write = wake
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(repeat, lambda: writer.due_ns, flush)
            nursery.start_soon(repeat, lambda: writer.sync_due_ns, sync)
    finally:
        writer.on_write = _do_nothing
    if failures:
        raise failures[0]


def _do_nothing() -> None:
    return None
