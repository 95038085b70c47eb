"""A server's listeners, or in words why there are none."""

from __future__ import annotations

import errno

import trio

from recorder.errors import Unreachable

__all__ = ["open_listeners"]


async def open_listeners(
    host: str, port: int, *, if_taken: str, if_unknown: str
) -> list[trio.SocketListener]:
    """Listen on ``host``, all of its addresses, and ``port``, 0 for a free one.

    The caller closes them. Raises Unreachable with the advice ``if_taken`` where the port is not to
    be had, ``if_unknown`` where the address is not.
    """
    try:
        return await trio.open_tcp_listeners(port, host=host)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        of_port = getattr(error, "errno", None) in (errno.EADDRINUSE, errno.EACCES)
        advice = if_taken if of_port else if_unknown
        raise Unreachable(f"cannot listen on {host}:{port}: {why}; {advice}") from error
