"""The sample client six times, with one bug each, as they are easily made."""

from __future__ import annotations

from tests.examples.sample_client.client import JsonObject, NotLoggedIn, TrackClient

__all__ = [
    "AnswersWithOldUuidAfterReconnect",
    "LosesTextsBehindATilde",
    "NeverAnswersPings",
    "ReconnectsInABusyLoop",
    "SendsPartialPut",
    "TakesUnauthorizedForEmpty",
]


class NeverAnswersPings(TrackClient):
    """Takes a PING for a message like any other; the socket lives for a minute."""

    def on_ping(self, uuid: str) -> None:
        """Nothing is done."""


class AnswersWithOldUuidAfterReconnect(TrackClient):
    """Keeps the uuid to answer with over the end of a socket."""

    _uuid: str | None = None
    _is_new_socket = False

    def on_open(self) -> None:
        """It should be forgotten here."""
        self._is_new_socket = True

    def on_ping(self, uuid: str) -> None:
        """The first pong of a socket has the last uuid of the one before."""
        if self._uuid is None or not self._is_new_socket:
            self._uuid = uuid
        self._is_new_socket = False
        super().on_ping(self._uuid)


class LosesTextsBehindATilde(TrackClient):
    """Takes a message that begins with `~` for what is left of another one."""

    def on_message(self, message: str | bytes) -> None:
        """It is dropped, whatever stands behind."""
        if not str(message).startswith("~"):
            super().on_message(message)


class TakesUnauthorizedForEmpty(TrackClient):
    """An account without a session seems to be one without devices."""

    def list_devices(self) -> list[JsonObject]:
        """No error ever."""
        try:
            return super().list_devices()
        except NotLoggedIn:
            return []


class SendsPartialPut(TrackClient):
    """Sends what it wants to change, and so empties all the rest."""

    def rename_device(self, device_id: int, name: str) -> None:
        """The id and the name are all that is left."""
        self.put_device({"id": device_id, "name": name})


class ReconnectsInABusyLoop(TrackClient):
    """A backend that restarts is met by all of these at once, again and again."""

    def before_reconnecting(self) -> None:
        """No wait at all."""
