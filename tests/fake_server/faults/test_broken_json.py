"""The fault ``broken-json``."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fake_server.faults import parse_injection
from tests.fake_server.faults.support import (
    THREE,
    Served,
    hear,
    line_of,
    on_loopback,
    payloads_of,
    ping,
    sent,
    steps_of,
    texts,
    with_websockets,
)
from tests.fake_server.support import DEVICES, POSITION
from tests.profiles import examples
from tests.strategies import json_texts
from tests.strategies import texts as words

MODES = ["cut", "dropped-byte", "unquoted-key", "trailing-comma"]


def broken(mode: str, payload: bytes, *, seed: int = 0) -> bytes:
    line = line_of(f"broken-json:mode={mode}", seed=seed)
    (changed,) = payloads_of(sent(steps_of(line, texts(payload))))
    return changed


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("unquoted-key", b'{positions:[{"id":11,"deviceId":1,"rssi":-64}]}'),
        ("trailing-comma", b'{"positions":[{"id":11,"deviceId":1,"rssi":-64}],}'),
    ],
)
def test_the_bytes_of_a_mode(mode: str, expected: bytes) -> None:
    assert broken(mode, POSITION) == expected


def test_a_cut_is_a_beginning_and_a_dropped_byte_is_one_byte_less() -> None:
    for seed in range(50):
        cut = broken("cut", POSITION, seed=seed)
        assert 0 < len(cut) < len(POSITION)
        assert POSITION.startswith(cut)
        dropped = broken("dropped-byte", POSITION, seed=seed)
        places = range(len(POSITION))
        assert dropped in [POSITION[:at] + POSITION[at + 1 :] for at in places]


def test_chance_finds_many_places() -> None:
    assert len({broken("cut", POSITION, seed=seed) for seed in range(50)}) > 20
    assert len({broken("dropped-byte", POSITION, seed=seed) for seed in range(50)}) > 10


@given(
    st.sampled_from(MODES),
    st.dictionaries(words, json_texts, min_size=1, max_size=3),
    st.integers(0, 99),
)
@settings(max_examples=examples(100))
@example("dropped-byte", {"a": "[1,2]"}, 0)
@example("dropped-byte", {"a": json.dumps('\\"')}, 1)
@example("cut", {"a": '"€€€€€€€€"'}, 3)
def test_what_comes_out_is_no_json_but_is_utf8(
    mode: str, members: dict[str, str], seed: int
) -> None:
    pairs = (f"{json.dumps(key)}: {value}" for key, value in members.items())
    payload = ("{" + " , ".join(pairs) + "} ").encode()
    changed = broken(mode, payload, seed=seed)
    assert changed != payload
    with pytest.raises(json.JSONDecodeError):
        json.loads(changed.decode())


@pytest.mark.parametrize("mode", MODES)
def test_of_joined_texts_the_last_is_broken(mode: str) -> None:
    changed = broken(mode, DEVICES + b"~" + POSITION)
    assert changed.startswith(DEVICES + b"~{")
    with pytest.raises(json.JSONDecodeError):
        json.loads(changed[len(DEVICES) + 1 :])


@pytest.mark.parametrize("payload", [b"", b"hello", b"12", b"\xff", b'{"torn":'])
@pytest.mark.parametrize("mode", MODES)
def test_what_is_no_json_text_is_left_alone(mode: str, payload: bytes) -> None:
    assert broken(mode, payload) == payload


def test_an_object_without_a_key_has_none_to_unquote() -> None:
    assert broken("unquoted-key", b"{}") == b"{}"
    assert broken("unquoted-key", b"[1]") == b"[1]"


@pytest.mark.parametrize("mode", MODES)
def test_nobody_waits_for_the_pong_to_a_broken_ping(mode: str) -> None:
    (step,) = steps_of(line_of(f"broken-json:mode={mode}"), [ping("u1")])
    assert getattr(step, "ping", "") is None


async def test_websockets_hears_a_message_that_its_json_reader_refuses() -> None:
    def client(served: Served) -> list[bytes]:
        with with_websockets(served) as socket:
            return hear(socket, 3)

    fault = "broken-json:mode=trailing-comma,kinds=positions,count=1"
    async with on_loopback(fault, session_timeout_shown="never") as served:
        heard = await served.ask(client)
    assert heard == [THREE[0], THREE[1][:-1] + b",}", THREE[2]]
    with pytest.raises(json.JSONDecodeError):
        json.loads(heard[1])


@pytest.mark.parametrize("values", ["mode=other"])
def test_impossible_values_are_named(values: str) -> None:
    with pytest.raises(ValueError, match=f"broken-json: .*{values.partition('=')[0]}"):
        parse_injection(f"broken-json:{values}")
