"""Every switch of the backend's behaviour that its manual does not settle, as one frozen value.

A field's default is what is known or assumed of the real backend, and its docstring says on what
evidence:

- *manual section n*: the manual says so;
- *Traccar lineage*: Track derives from Traccar on Jetty, which does so;
- *seen in clients*: public client code relies on it;
- *assumption*: nobody outside knows.

Who knows better changes one field, in a TOML file
(:func:`recorder.track.rules_file.load_rules`) or in code, and no program.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec

from recorder.wire.frames import close_frame

__all__ = ["Rules"]

_NS_PER_S: Final = 1_000_000_000


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """How this Track backend behaves. Raises ValueError naming the field whose value cannot be."""

    session_timeout_s: float = 86400
    """A session ends after so many seconds without user activity. Manual section 3.4 ("usually").
    """

    session_timeout_shown: Literal["open", "expiry", "never"] = "open"
    """When a socket shows ``webSessionTimeout``: as its first message, when the session expires, or
    never.

    Assumption: manual section 3.4 ties it to expiration in one sentence and to the configured value
    in the next.
    """

    cookie_name: str = "JSESSIONID"
    """The name of the session cookie. Manual section 2."""

    cookie_path: str = "/api"
    """The path of the session cookie. Manual section 2."""

    ping_interval_s: float = 30.0
    """Seconds from one PING to the next, and from opening to the first. Manual section 3.3
    ("default").
    """

    unanswered_ping: Literal["close", "ignore"] = "close"
    """What happens when a PING is due and the one before is unanswered.

    Manual section 3.4 says that a socket is kept as long as PINGs are acknowledged; when it ends is
    an assumption.
    """

    unanswered_ping_close_code: int = 1001
    """The close code then (RFC 6455 section 7.4). Assumption."""

    unanswered_ping_close_reason: str = "Idle timeout expired: {interval_ms}/{interval_ms} ms"
    """The close reason then, at most 123 bytes; ``{interval_ms}`` becomes the ping interval in
    milliseconds.

    Its shape is Traccar lineage.
    """

    socket_key: Literal["lenient", "strict"] = "lenient"
    """``lenient`` takes any non-empty ``Sec-WebSocket-Key``, ``strict`` answers 400 unless it is
    base64 of 16 bytes.

    Manual section 3.2 asks for 16 bytes, but its own example has 32; taking them is Traccar
    lineage.
    """

    status_no_session: int = 503
    """The status of a socket handshake without a live session. Traccar lineage; for a dead session,
    assumption.
    """

    status_wrong_password: int = 401
    """The status of a login that is refused. Traccar lineage."""

    status_missing_field: int = 400
    """The status of a login without ``email`` or ``password``. Traccar lineage."""

    status_json_login: int = 415
    """The status of a login whose body is JSON and no form. Traccar lineage."""

    strict: bool = False
    """Whether every violation is refused: REST calls with an error, sockets with close 1008. Ours;
    the real backend is as the other fields say.
    """

    session_id_shape: str = "node0{random}.node0"
    """The shape of session ids; ``{random}`` becomes 32 hex digits. Traccar lineage."""

    login_expires_header: str = "Thu, 01 Jan 1970 00:00:00 GMT"
    """The ``Expires`` header of a login, against caches; empty leaves it out. Traccar lineage."""

    status_session_absent: int = 404
    """The status of ``GET /api/session`` when nobody is logged in. Traccar lineage."""

    logout_closes_sockets: bool = False
    """Whether ``DELETE /api/session`` closes the sockets of the session. Traccar lineage."""

    handshake_renews_session: bool = True
    """Whether the handshake of a socket renews its session as REST calls do. Assumption."""

    status_dead_session: int = 503
    """The status of a socket handshake with the cookie of an expired or unknown session.
    Assumption.
    """

    status_rest_no_session: int = 401
    """The status of a REST call without a live session. Traccar lineage."""

    basic_auth: bool = True
    """Whether REST calls may log in by HTTP Basic instead of a cookie. Traccar lineage, seen in
    clients.
    """

    basic_realm: str = "api"
    """The realm of the ``WWW-Authenticate`` challenge. Traccar lineage."""

    challenge_scripts: bool = False
    """Whether calls with ``X-Requested-With: XMLHttpRequest`` are challenged, too. Traccar lineage.
    """

    cors: Literal["echo", "none"] = "echo"
    """``echo`` answers with the ``Origin`` (else ``*``) and allows credentials. Traccar lineage."""

    status_no_upgrade: int = 405
    """The status of ``/api/socket`` without an upgrade. Traccar lineage."""

    status_bad_handshake: int = 400
    """The status of a handshake without key, or of another version than 13. Traccar lineage."""

    other_client_text: Literal["ignore", "close"] = "ignore"
    """What a client's text that is no pong does; ``close`` is 1008. Traccar lineage."""

    keepalive_interval_s: float = 0.0
    """Seconds between ``{}`` messages; 0 sends none. Traccar lineage, of later versions."""

    beacons_pushed: bool = True
    """Whether beacons are pushed on sockets where the recording does not say. Assumption."""

    status_created: int = 200
    """The status of a POST that made an object. Traccar lineage."""

    status_updated: int = 200
    """The status of a PUT. Traccar lineage."""

    status_deleted: int = 204
    """The status of a DELETE. Traccar lineage."""

    put_id: Literal["body", "path"] = "body"
    """Which id a PUT goes by where path and body differ. Traccar lineage."""

    put_missing_field: Literal["default", "keep"] = "default"
    """What a field becomes that a PUT leaves out: its default (null, 0, false, "" or empty), as
    with a bean mapper, or what it was. Assumption.
    """

    status_unknown_id: int = 400
    """The status of a call that names an object which there is not, or which the account may not
    see. Traccar lineage.
    """

    status_bad_id: int = 404
    """The status of an id that is no number. Traccar lineage."""

    error_content_type: str = "application/json"
    """The content type of the text of an error. Traccar lineage."""

    device_zero_is_all: bool = True
    """Whether ``deviceId=0`` asks a report of all devices. Seen in clients."""

    date_spellings: Literal["old", "new"] = "old"
    """``new`` takes dates with ``Z`` or ``+00:00``, ``old`` also ``+0000``, no zone, and the date
    only. Traccar lineage.
    """

    report_without_accept: Literal["xlsx", "json"] = "xlsx"
    """What a report is without ``Accept: application/json``. Traccar lineage."""

    same_location_keeps: Literal["first", "last"] = "first"
    """Which of consecutive positions at one place ``filterSameLocation`` keeps. Assumption."""

    flapping_stay_max_s: float = 60.0
    """``filterFlapping`` drops a stay at B in A-B-A that is no longer than this. Assumption."""

    start_endpoints: bool = True
    """Whether there is what web clients ask for on start: ``/api/server`` and a few empty lists.
    Traccar lineage.
    """

    tolerated_parameters: tuple[str, ...] = ("responseType", "delimiter")
    """Query parameters that mean nothing and are no violation. Seen in clients."""

    max_polls_per_minute: int = 60
    """The same REST list asked for more often by one session is a violation; 0 allows any. Ours:
    manual section 3 has the socket for changes.
    """

    reconnect_delay_min_s: float = 1.0
    """A client that opens a socket sooner after its last one ended reconnects without delay. Ours.
    """

    reconnects_without_delay: int = 3
    """So many in a row are no violation. Ours."""

    def __post_init__(self) -> None:
        for name, (is_valid, expected) in _EXPECTED.items():
            value = getattr(self, name)
            if not is_valid(value):
                raise ValueError(f"{name} = {value!r}: expected {expected}")
        # The two fields of the close frame are valid by themselves; RFC 6455 judges them as one.
        try:
            broken = close_frame(self.unanswered_ping_close_code, self.close_reason).check("server")
        except ValueError as exc:
            raise ValueError(f"unanswered_ping_close_reason: {exc}") from exc
        if broken:
            raise ValueError(f"unanswered_ping_close_code: {broken[0]}")

    @property
    def ping_interval_ns(self) -> int:
        """``ping_interval_s`` in nanoseconds."""
        return round(self.ping_interval_s * _NS_PER_S)

    @property
    def session_timeout_ns(self) -> int:
        """``session_timeout_s`` in nanoseconds."""
        return round(self.session_timeout_s * _NS_PER_S)

    @property
    def close_reason(self) -> str:
        """The reason of the close frame after an unanswered PING, filled in."""
        # Not str.format: a template from a file could reach attributes through it.
        interval_ms = round(self.ping_interval_s * 1000)
        return self.unanswered_ping_close_reason.replace("{interval_ms}", str(interval_ms))


def _one_of(*values: str) -> tuple[Callable[[Any], bool], str]:
    return lambda value: value in values, " or ".join(repr(value) for value in values)


def _is_seconds(value: Any) -> bool:
    # bool is an int; NaN fails both comparisons. The bounds keep every figure in ns exact enough
    # and above zero.
    return type(value) in (int, float) and 0.001 <= value <= 1e9


def _is_status(value: Any) -> bool:
    return type(value) is int and 400 <= value <= 599


def _is_template(value: Any) -> bool:
    return isinstance(value, str) and not set("{}") & set(value.replace("{interval_ms}", ""))


# RFC 6265 section 4.1.1: cookie-name is an RFC 2616 token; path-value is any character but controls
# and ";".
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PATH: Final = re.compile(r"/[ -:<-~]*")

_ID_SHAPE: Final = re.compile(r"[!#-+./0-9:<-\[\]-z|~-]*\{random\}[!#-+./0-9:<-\[\]-z|~-]*")
_QUOTABLE: Final = re.compile(r"[ !#-\[\]-~]*")
_FIELD_CONTENT: Final = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?)?")

_BOOL: Final = (lambda value: type(value) is bool, "true or false")
_COUNT: Final = (lambda value: type(value) is int and 0 <= value <= 1_000_000, "a count, 0 or more")
_FIELD_VALUE: Final = (
    lambda value: isinstance(value, str) and _FIELD_CONTENT.fullmatch(value) is not None,
    "the value of a header field: printable ASCII without spaces around it",
)
_SUCCESS: Final = (
    lambda value: type(value) is int and 200 <= value <= 299,
    "an HTTP status from 200 to 299",
)
_SECONDS_OR_NONE: Final = (
    lambda value: _is_seconds(value) or (type(value) in (int, float) and value == 0),
    "seconds, a number from 0.001 to 1e9, or 0",
)
_SECONDS: Final = (_is_seconds, "seconds, a number from 0.001 to 1e9")
_STATUS: Final = (_is_status, "an HTTP status from 400 to 599")

_EXPECTED: Final[dict[str, tuple[Callable[[Any], bool], str]]] = {
    "session_timeout_s": _SECONDS,
    "session_timeout_shown": _one_of("open", "expiry", "never"),
    "cookie_name": (
        lambda value: isinstance(value, str) and _TOKEN.fullmatch(value) is not None,
        "a token (RFC 6265 4.1.1)",
    ),
    "cookie_path": (
        lambda value: isinstance(value, str) and _PATH.fullmatch(value) is not None,
        "a path that begins with '/' and has no ';' (RFC 6265 4.1.1)",
    ),
    "ping_interval_s": _SECONDS,
    "unanswered_ping": _one_of("close", "ignore"),
    "unanswered_ping_close_code": (
        lambda value: type(value) is int and 1000 <= value <= 4999,
        "a close code from 1000 to 4999 (RFC 6455 7.4)",
    ),
    "unanswered_ping_close_reason": (_is_template, "text with no field but {interval_ms}"),
    "socket_key": _one_of("lenient", "strict"),
    "status_no_session": _STATUS,
    "status_wrong_password": _STATUS,
    "status_missing_field": _STATUS,
    "status_json_login": _STATUS,
    "strict": _BOOL,
    "session_id_shape": (
        lambda value: isinstance(value, str) and _ID_SHAPE.fullmatch(value) is not None,
        "characters of a cookie around one {random} (RFC 6265 4.1.1)",
    ),
    "login_expires_header": _FIELD_VALUE,
    "status_session_absent": _STATUS,
    "logout_closes_sockets": _BOOL,
    "handshake_renews_session": _BOOL,
    "status_dead_session": _STATUS,
    "status_rest_no_session": _STATUS,
    "basic_auth": _BOOL,
    "basic_realm": (
        lambda value: isinstance(value, str) and _QUOTABLE.fullmatch(value) is not None,
        "printable ASCII without quotes and backslashes (RFC 9110 5.6.4)",
    ),
    "challenge_scripts": _BOOL,
    "cors": _one_of("echo", "none"),
    "status_no_upgrade": _STATUS,
    "status_bad_handshake": _STATUS,
    "other_client_text": _one_of("ignore", "close"),
    "keepalive_interval_s": _SECONDS_OR_NONE,
    "beacons_pushed": _BOOL,
    "status_created": _SUCCESS,
    "status_updated": _SUCCESS,
    "status_deleted": _SUCCESS,
    "put_id": _one_of("body", "path"),
    "put_missing_field": _one_of("default", "keep"),
    "status_unknown_id": _STATUS,
    "status_bad_id": _STATUS,
    "error_content_type": _FIELD_VALUE,
    "device_zero_is_all": _BOOL,
    "date_spellings": _one_of("old", "new"),
    "report_without_accept": _one_of("xlsx", "json"),
    "same_location_keeps": _one_of("first", "last"),
    "flapping_stay_max_s": _SECONDS_OR_NONE,
    "start_endpoints": _BOOL,
    "tolerated_parameters": (
        lambda value: isinstance(value, tuple) and all(isinstance(one, str) for one in value),
        "a list of names",
    ),
    "max_polls_per_minute": _COUNT,
    "reconnect_delay_min_s": _SECONDS_OR_NONE,
    "reconnects_without_delay": _COUNT,
}
