"""What conformance finds in recordings, and what it leaves alone because they do not show it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from recorder.model import (
    AnyEntry,
    Bytes,
    Closed,
    FrameEntry,
    MessageEntry,
    Request,
    Response,
    Resume,
    Sender,
    encode_bytes,
)
from recorder.track.rules import Rules
from recorder.track.violations import RULES
from recorder.wire.frames import CloseCode, Frame, Opcode, close_frame
from replayer.conformance import JUDGED_RULES, Conformance, conformance
from tests.profiles import examples
from tests.strategies import WALL, entry_lists

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
UUID = "a0b34365-908f-4868-a52a-84a3ed83bd5%d"
PING = b'{"status":[{"message":"%s","type":"PING","localeKey":null,"localeValues":null}]}'
_numbers = iter(range(1, 10**9))


def ns(at_s: float) -> int:
    return round(at_s * 1e9)


def exchange(
    target: str,
    *,
    at_s: float = 0.0,
    method: str = "GET",
    status: int = 200,
    connection: int = 1,
    cookie: str | None = None,
    set_cookie: str | None = None,
    **headers: str,
) -> list[AnyEntry]:
    number = next(_numbers)
    fields = [(name.replace("_", "-"), value) for name, value in headers.items()]
    if cookie is not None:
        fields.append(("Cookie", f"JSESSIONID={cookie}"))
    answer = [("Set-Cookie", f"JSESSIONID={set_cookie}; Path=/api")] if set_cookie else []
    common: dict[str, Any] = {
        "connection": connection,
        "exchange": number,
        "offset_ns": ns(at_s),
    }
    return [
        Request(**common, method=method, target=target, headers=fields),
        Response(**common, status=status, headers=answer),
    ]


def login(sets: str, **options: Any) -> list[AnyEntry]:
    return exchange("/api/session", method="POST", set_cookie=sets, **options)


def upgrade(cookie: str | None = "c", **options: Any) -> list[AnyEntry]:
    headers = {"Upgrade": "websocket", "Sec_WebSocket_Key": KEY, "Sec_WebSocket_Version": "13"}
    return exchange(
        "/api/socket", **{"status": 101, "connection": 2, "cookie": cookie, **headers, **options}
    )


def frame(sender: Sender, made: Frame, at_s: float, connection: int = 2) -> FrameEntry:
    return FrameEntry.of(made, connection=connection, sender=sender, offset_ns=ns(at_s))


def said(text: str | bytes, at_s: float, connection: int = 2) -> FrameEntry:
    data = text.encode() if isinstance(text, str) else text
    return frame("client", Frame.make(Opcode.TEXT, data, mask=b"abcd"), at_s, connection)


def ping(number: int, at_s: float, connection: int = 2) -> FrameEntry:
    text = PING % (UUID % number).encode()
    return frame("server", Frame.make(Opcode.TEXT, text), at_s, connection)


def pong(number: int, at_s: float, connection: int = 2) -> FrameEntry:
    return said(f"pong {UUID % number}", at_s, connection)


def closed(at_s: float, connection: int = 2) -> Closed:
    return Closed(connection=connection, by="server", how="eof", offset_ns=ns(at_s))


def rules_in(entries: list[AnyEntry], rules: Rules | None = None, **options: Any) -> list[str]:
    return [one.rule for one in conformance(entries, rules, **options)]


SESSION = [*login("c"), *upgrade()]


def test_a_clean_session_has_none() -> None:
    entries = [*SESSION, ping(1, 30), pong(1, 31), ping(2, 60), pong(2, 60.5), closed(61)]
    assert rules_in(entries, from_start=True) == []


def test_a_violation_says_where_and_when() -> None:
    entries = [*SESSION, ping(1, 30), closed(61)]
    (one,) = conformance(entries)
    assert (one.rule, one.connection, one.at_ns) == ("pong.missing", 2, ns(61))
    assert str(one) == (
        "connection 2, 61.000 s: the client sent no pong in the 31.000 s since the PING"
        f" {UUID % 1}; expected 'pong {UUID % 1}' [pong.missing, manual 3.3]"
    )


def test_all_rules_are_rules() -> None:
    assert set(RULES) >= JUDGED_RULES


# Sessions


def test_the_cookie_of_no_login_is_judged_only_where_all_logins_are_shown() -> None:
    entries = [*login("c"), *upgrade("other", status=503)]
    assert rules_in(entries) == []
    assert rules_in(entries, from_start=True) == ["session.unknown-cookie"]


def test_after_a_resume_logins_may_be_missing() -> None:
    resume = Resume(offset_ns=0, wall=WALL)
    assert rules_in([*login("c"), resume, *upgrade("other")], from_start=True) == []
    assert rules_in([*login("c"), resume, *upgrade()], from_start=True) == []


def test_a_logout_ends_a_session_wherever_the_recording_begins() -> None:
    out = exchange("/api/session", method="DELETE", cookie="c", status=204)
    assert rules_in([*out, *upgrade(status=503)]) == ["session.unknown-cookie"]
    assert rules_in([*out, *login("c"), *upgrade()]) == []
    refused = exchange("/api/session", method="DELETE", cookie="c", status=500)
    assert rules_in([*refused, *upgrade()]) == []


def test_a_missing_cookie_is_always_judged() -> None:
    assert rules_in(upgrade(None, status=503)) == ["session.no-cookie"]


@pytest.mark.parametrize(("at_s", "expected"), [(99.9, []), (100, ["session.expired-cookie"])])
def test_a_session_expires_by_the_times_of_the_recording(at_s: float, expected: list[str]) -> None:
    rules = Rules(session_timeout_s=100)
    assert rules_in([*login("c"), *upgrade(at_s=at_s)], rules) == expected


def test_rest_renews_a_session_and_a_login_does_not() -> None:
    rules = Rules(session_timeout_s=100)
    use = exchange("/api/devices", cookie="c", at_s=60)
    assert rules_in([*login("c"), *use, *upgrade(at_s=120)], rules) == []
    again = login("d", cookie="c", at_s=60)
    expired = ["session.expired-cookie"]
    assert rules_in([*login("c"), *again, *upgrade(at_s=120)], rules) == expired


@pytest.mark.parametrize(("renews", "expected"), [(True, []), (False, ["session.expired-cookie"])])
def test_whether_a_handshake_renews_a_session_is_a_rule(renews: bool, expected: list[str]) -> None:
    rules = Rules(session_timeout_s=100, handshake_renews_session=renews)
    entries = [*login("c"), *upgrade(at_s=60), closed(61), *upgrade(at_s=120)]
    assert rules_in(entries, rules) == expected


def test_rest_without_a_session_is_judged_where_it_was_refused() -> None:
    assert rules_in(exchange("/api/devices", status=401)) == ["session.no-cookie"]
    assert rules_in(exchange("/api/server", status=200)) == []
    assert rules_in(exchange("/api/session", status=404)) == []
    assert rules_in(exchange("/api/devices", status=401, Authorization="Basic xyz")) == []
    assert rules_in(exchange("/api/session", method="POST", status=401)) == []


def test_redacted_cookies_are_told_apart() -> None:
    one, other = "[redacted:cookie-1]", "[redacted:cookie-2]"
    assert rules_in([*login(one), *upgrade(one)], from_start=True) == []
    assert rules_in([*login(one), *upgrade(other)], from_start=True) == ["session.unknown-cookie"]


def test_no_violation_and_no_repr_shows_a_session() -> None:
    secret = "node0secret.node0"
    fold = Conformance(from_start=True)
    for entry in [*login("c"), *upgrade(secret, status=503)]:
        shown = [*map(repr, fold.feed(entry)), repr(vars(fold))]
        assert secret not in "".join(shown)


# Handshakes


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Sec_WebSocket_Key": "c2hvcnQ="}, ["handshake.bad-key"]),
        ({"Sec_WebSocket_Key": ""}, ["handshake.missing-key"]),
        ({"Sec_WebSocket_Version": "8"}, ["handshake.bad-version"]),
        ({"Upgrade": "h2c", "Sec_WebSocket_Key": ""}, []),
    ],
)
def test_handshakes_are_judged(headers: dict[str, str], expected: list[str]) -> None:
    assert rules_in(upgrade(**headers)) == expected


def test_where_a_bad_key_is_refused_the_session_is_not_judged() -> None:
    entries = upgrade(None, status=400, Sec_WebSocket_Key="c2hvcnQ=")
    assert rules_in(entries) == ["handshake.bad-key", "session.no-cookie"]
    assert rules_in(entries, Rules(socket_key="strict")) == ["handshake.bad-key"]


# PINGs


def test_uuids_are_new() -> None:
    entries = [*SESSION, ping(1, 30), pong(1, 31), ping(1, 60), pong(1, 61)]
    assert rules_in(entries) == ["ping.repeated-uuid"]


def test_each_socket_has_its_own_pings() -> None:
    entries = [*SESSION, *upgrade(connection=3), ping(1, 30), pong(1, 31, connection=3), closed(35)]
    found = list(conformance(entries))
    assert [(one.rule, one.connection) for one in found] == [("pong.unsolicited", 3)]


def test_a_server_that_goes_on_has_given_an_unanswered_ping_up() -> None:
    entries = [*SESSION, ping(1, 30), ping(2, 60), pong(2, 61), pong(1, 62)]
    assert rules_in(entries) == ["pong.missing", "pong.late"]


def test_a_recording_that_was_cut_short_is_judged_to_its_end() -> None:
    assert rules_in([*SESSION, ping(1, 30), pong(2, 59)]) == ["pong.wrong-uuid"]
    late = exchange("/api/devices", at_s=61, cookie="c", connection=1)
    assert rules_in([*SESSION, ping(1, 30), *late]) == ["pong.missing"]


def test_a_new_connection_of_the_same_number_is_another() -> None:
    entries = [*SESSION, ping(1, 30), closed(31), *upgrade(at_s=32), pong(1, 33)]
    assert rules_in(entries) == ["pong.unsolicited"]


def test_without_timing_nothing_is_judged_by_time() -> None:
    entries = [*SESSION, *(ping(number, 30) for number in range(9)), said("pong x", 40)]
    untimed = [msgspec.structs.replace(entry, offset_ns=None) for entry in entries]
    (one,) = conformance(untimed)
    assert (one.rule, one.at_ns) == ("pong.wrong-uuid", None)


def test_messages_without_frames_are_judged_too() -> None:
    def message(sender: Sender, text: str) -> MessageEntry:
        return MessageEntry(connection=5, sender=sender, opcode="text", text=text, offset_ns=0)

    asked = message("server", (PING % b"u").decode())
    assert rules_in([asked, message("client", "pong u")]) == []
    assert rules_in([asked, message("client", "Pong u")]) == ["pong.malformed"]


# Frames


def test_text_that_is_no_pong_is_told() -> None:
    entries = [*SESSION, said("hello", 1), ping(1, 30), pong(2, 31)]
    assert rules_in(entries) == ["text.unknown", "pong.wrong-uuid"]
    for rules in (Rules(other_client_text="close"), Rules(strict=True)):
        assert rules_in(entries, rules) == ["text.unknown"]


def test_behind_a_broken_frame_the_client_is_not_heard() -> None:
    broken = frame("client", Frame.make(Opcode.TEXT, b"hello"), 1)
    assert rules_in([*SESSION, broken, said("hello", 2), broken]) == ["frame.broken"]


def test_behind_its_close_frame_the_client_is_not_heard() -> None:
    close = frame("client", close_frame(CloseCode.NORMAL, mask=b"abcd"), 1)
    assert rules_in([*SESSION, close, said("hello", 2)]) == []


def test_a_server_may_send_what_a_client_may_not() -> None:
    odd = frame("server", Frame.make(11, b"", mask=b"abcd"), 1)
    assert rules_in([*SESSION, odd, frame("server", Frame.make(Opcode.CONTINUATION), 1)]) == []


@pytest.mark.parametrize(
    ("sender", "data", "expected"),
    [
        ("client", b"\x82\xff" + (2**20 + 1).to_bytes(8, "big") + b"abcd", ["frame.broken"]),
        ("client", b"\x82\xff" + (2**20).to_bytes(8, "big") + b"abcd", []),
        ("server", b"\x82\x7f" + (2**20 + 1).to_bytes(8, "big"), []),
    ],
)
def test_bytes_that_are_no_frame_are_the_clients_fault_if_they_are_too_many(
    sender: Sender, data: bytes, expected: list[str]
) -> None:
    entry = Bytes(connection=2, sender=sender, why="?", offset_ns=1, **encode_bytes(data))
    assert rules_in([*SESSION, entry, entry]) == expected


@settings(max_examples=examples(50))
@given(entry_lists())
def test_any_entries_are_judged_without_an_error_and_piece_by_piece(
    entries: list[AnyEntry],
) -> None:
    fold = Conformance()
    found = [one for entry in entries for one in fold.feed(entry)] + fold.finish()
    assert found == list(conformance(entries))
    assert {one.rule for one in found} <= JUDGED_RULES
    assert fold.finish() == []
