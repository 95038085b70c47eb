"""Every switch of the backend's behaviour that its manual does not settle, as one frozen value.

A field's default is what is known or assumed of the real backend, and its docstring says on what
evidence:

- *manual section n*: the manual says so;
- *Traccar lineage*: Track derives from Traccar on Jetty, which does so;
- *seen in clients*: public client code relies on it;
- *assumption*: nobody outside knows.

Who knows better changes one field, in a TOML file (:func:`load_rules`) or in code, and no program.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from recorder.errors import CannotRead, RulesError
from recorder.wire.frames import close_frame

__all__ = ["Rules", "load_rules"]

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


def load_rules(path: str | Path) -> Rules:
    """The rules in a TOML file: field names of :class:`Rules` at the top level; what it leaves out
    keeps its default.

    Raises :exc:`~recorder.errors.CannotRead` if the file cannot be opened, and
    :exc:`~recorder.errors.RulesError`, naming the file, the field and what was expected, if it is
    not TOML, names an unknown field or holds an impossible value.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as exc:
        raise CannotRead(f"{path}: the rules cannot be read: {exc.strerror}") from exc
    try:
        table = tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as exc:  # not UTF-8, not TOML, or nested beyond all sense
        raise RulesError(f"{path}: not a TOML file: {exc}") from exc
    for name in table:
        if name not in Rules.__struct_fields__:
            raise RulesError(f"{path}: there is no rule {name!r}; {_nearest(name)}")
    try:
        return Rules(**table)
    except ValueError as exc:
        raise RulesError(f"{path}: {exc}") from exc


def _nearest(name: str) -> str:
    close = difflib.get_close_matches(name, Rules.__struct_fields__, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"expected one of {', '.join(Rules.__struct_fields__)}"


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
}
