"""A client of the Track API as an integrator would write it: `httpx` for REST, `websockets` for the
socket, which a thread of its own reads.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Final, TypeAlias

import httpx
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

__all__ = ["NotLoggedIn", "TrackClient", "json_texts"]

_log = logging.getLogger(__name__)

FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 60.0

JsonObject: TypeAlias = dict[str, Any]


class NotLoggedIn(Exception):
    """The backend knows no session of ours: the password is wrong, or the session is over."""


class TrackClient:
    """Follows the devices of one account, from `with` to the end of its block.

    `devices` by their id and `positions`, the latest of each device, by its `deviceId` are what the
    socket has told. A socket that ends is opened again after a wait that grows up to a minute, by
    `wait(seconds)`, which tests may replace; the default ends early when the client is closed.
    """

    def __init__(
        self,
        url: str,
        email: str,
        password: str,
        *,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self.devices: dict[int, JsonObject] = {}
        self.positions: dict[int, JsonObject] = {}
        self._account = {"email": email, "password": password}
        self._http = httpx.Client(base_url=url)
        self._closed = threading.Event()
        self._wait = wait or self._closed.wait
        self._next_wait_s = FIRST_WAIT_S
        self._socket: ClientConnection | None = None
        self._thread = threading.Thread(target=self._follow, name="track socket")

    def __enter__(self) -> TrackClient:
        self.log_in()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        if self._socket is not None:
            self._socket.close()
        self._thread.join()
        self._http.close()

    # REST

    def log_in(self) -> None:
        """Get a session; its cookie goes along with all that follows."""
        _checked(self._http.post("/api/session", data=self._account))

    def list_devices(self) -> list[JsonObject]:
        """All devices, by REST."""
        found: list[JsonObject] = _checked(self._http.get("/api/devices")).json()
        return found

    def rename_device(self, device_id: int, name: str) -> None:
        """A PUT takes the full object: a field that is left out would be lost."""
        found = _checked(self._http.get("/api/devices", params={"id": device_id})).json()
        self.put_device({**found[0], "name": name})

    def put_device(self, device: JsonObject) -> None:
        """Write a device as it is given."""
        _checked(self._http.put(f"/api/devices/{device['id']}", json=device))

    # The socket

    def _follow(self) -> None:
        """The thread: one socket after the other."""
        while not self._closed.is_set():
            try:
                with self._connecting() as self._socket:
                    self.on_open()
                    while not self._closed.is_set():
                        self.on_message(self._socket.recv())
            except InvalidStatus:
                with contextlib.suppress(NotLoggedIn, httpx.HTTPError):
                    self.log_in()
            except (OSError, WebSocketException):
                pass  # The network or the backend is away: it is tried again.
            if not self._closed.is_set():
                self.before_reconnecting()

    def _connecting(self) -> AbstractContextManager[ClientConnection]:
        cookies = "; ".join(f"{name}={value}" for name, value in self._http.cookies.items())
        url = str(self._http.base_url.join("/api/socket")).replace("http", "ws", 1)
        return connect(url, additional_headers={"Cookie": cookies}, max_size=None)

    def before_reconnecting(self) -> None:
        """Wait, each time twice as long, until a socket was good for a PING."""
        self._wait(self._next_wait_s)
        self._next_wait_s = min(2 * self._next_wait_s, LONGEST_WAIT_S)

    def on_open(self) -> None:
        """A socket was opened; the backend begins with all that it knows."""

    def on_message(self, message: str | bytes) -> None:
        """Most messages are one JSON text, some are several. One that cannot be read is told, and
        ends nothing.
        """
        try:
            for told in json_texts(str(message)):
                self.on_told(told)
        except ValueError:
            _log.warning("a message cannot be read: %.80r", message)

    def on_told(self, told: JsonObject) -> None:
        """One object, mostly of one key; of keys that it does not know it makes nothing."""
        for device in told.get("devices") or ():
            self.devices[device["id"]] = device
        for position in told.get("positions") or ():
            self.positions[position["deviceId"]] = position
        for status in told.get("status") or ():
            if status["type"] == "PING":
                self.on_ping(status["message"])

    def on_ping(self, uuid: str) -> None:
        """Answer with the uuid of the PING, or the backend ends the socket."""
        self.send_pong(uuid)
        self._next_wait_s = FIRST_WAIT_S

    def send_pong(self, uuid: str) -> None:
        """Send a pong on the socket that is open."""
        if self._socket is not None:
            self._socket.send(f"pong {uuid}")


def json_texts(message: str) -> Iterator[Any]:
    """The JSON texts of a message, which `~` and white space may stand before, between and behind;
    a `~` in a JSON string is data. Raises ValueError where there is anything else.
    """
    at = 0
    while at < len(message):
        if message[at] in "~ \t\r\n":
            at += 1
        else:
            value, at = json.JSONDecoder().raw_decode(message, at)
            yield value


def _checked(response: httpx.Response) -> httpx.Response:
    """A refusal is an error, and never an empty answer."""
    if response.status_code == httpx.codes.UNAUTHORIZED:
        raise NotLoggedIn(response.request.url.path)
    return response.raise_for_status()
