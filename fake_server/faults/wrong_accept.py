"""The fault ``wrong-accept``."""

from __future__ import annotations

import base64
from typing import Literal

from fake_server.faults import base
from fake_server.faults.base import HandshakeFault, Place
from recorder.wire.handshake import accept_for

__all__ = ["WrongAccept"]


class WrongAccept(HandshakeFault, frozen=True, kw_only=True, tag="wrong-accept"):
    """The handshake is answered 101 with an accept that a client must refuse (RFC 6455 section
    4.1).

    ``accept``: that of ``another-key``, as a cache would give it; ``no-base64``; ``empty``; or
    ``missing``, without the field.
    """

    accept: Literal["another-key", "no-base64", "empty", "missing"] = "another-key"

    def answer(self, place: Place) -> base.WrongAccept:
        """What stands in ``Sec-WebSocket-Accept``."""
        if self.accept == "missing":
            return base.WrongAccept(accept="")
        if self.accept == "empty":
            # White space around a value is no part of it (RFC 9110 section 5.5).
            return base.WrongAccept(accept=" ")
        if self.accept == "no-base64":
            return base.WrongAccept(accept="?" * 28)
        key = base64.b64encode(place.rng.randbytes(16)).decode("ascii")
        return base.WrongAccept(accept=accept_for(key))
