"""What a proxy says that it has seen."""

from __future__ import annotations

from recorder.proxy.progress import ProxyProgress


def test_what_is_open_is_told_apart_from_what_was() -> None:
    progress = ProxyProgress()
    progress.connections, progress.exchanges, progress.sockets = 4, 1, 1
    assert progress.line() == (
        "clients: 0 open of 4  exchanges: 1  sockets: 0 open of 1  frames: 0 received, 0 sent"
    )
