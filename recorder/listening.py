"""A server's listeners, or in words why there are none."""

from __future__ import annotations

import contextlib
import errno
import logging
from collections.abc import Callable, Iterator

import trio

from recorder.errors import Unreachable

__all__ = ["accept_troubles", "open_listeners"]


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


@contextlib.contextmanager
def accept_troubles(tell: Callable[[str], object]) -> Iterator[None]:
    """Tell in words what trio logs with a traceback, ten times a second: that there are no file
    descriptors for a further connection, which waits.
    """

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            error = record.exc_info[1] if record.exc_info else None
            why = getattr(error, "strerror", None) or record.getMessage()
            tell(f"connections wait to be accepted: {why}")

    handler = Handler()
    logger = logging.getLogger("trio.serve_listeners")
    propagate = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
