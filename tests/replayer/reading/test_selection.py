"""The filters that commands share."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recorder.model import Body, Checkpoint, Entry, Note
from recorder.wire.frames import Opcode
from replayer.commands.selection_options import in_recording, selection_options
from replayer.reading import describing
from replayer.reading.conversation import BrokenMessage, DataMessage, Exchange, Item, converse
from replayer.reading.describing import Describer
from replayer.reading.json_paths import JsonPath
from replayer.reading.lines import BACKGROUND_KINDS, Line
from replayer.reading.moment import read_moment
from replayer.reading.selection import Selection, Selector
from tests.profiles import examples
from tests.replayer import traffic
from tests.replayer.recordings import frame, header, numbered, ping

# Generated conversations that tell names, and speak of them later by id.

ids = st.integers(1, 3)
names = st.sampled_from(["a", "b", "Ōsaka", "1", "x\u202ey"])


def _object(**fields: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Objects in which each field stands, is null, or is left out."""
    return st.fixed_dictionaries(
        {}, optional={name: st.none() | values for name, values in fields.items()}
    )


_KEYS = {
    "devices": _object(id=ids, name=names),
    "beacons": _object(id=ids, name=names),
    "positions": _object(
        id=ids, deviceId=ids, deviceName=names, beaconId=ids, beaconName=names, rssi=st.just(-90)
    ),
    "events": _object(deviceId=ids, beaconId=ids, type=st.just("deviceOnline")),
}
json_texts = st.one_of(
    st.fixed_dictionaries({key: st.lists(values, max_size=3)}) for key, values in _KEYS.items()
) | st.sampled_from([{}, {"future": 1}, {"a": 1, "b": 2}])
payloads = st.lists(json_texts, min_size=1, max_size=3).map(
    lambda texts: b"~".join(json.dumps(one, ensure_ascii=False).encode() for one in texts)
)
spoken = st.one_of(
    st.tuples(st.just("server"), payloads | st.just(ping("a0b3")), st.just(Opcode.TEXT)),
    st.tuples(st.just("client"), st.sampled_from([b"pong a0b3", b"{}"]), st.just(Opcode.TEXT)),
    st.tuples(
        st.sampled_from(["client", "server"]),
        st.sampled_from([b"alive", b""]),
        st.sampled_from([Opcode.BINARY, Opcode.PING, Opcode.PONG, 3, 11]),
    ),
)


@st.composite
def talks(draw: st.DrawFn) -> list[Entry]:
    """Messages on two connections, some in fragments, and a note."""
    made: list[Entry] = []
    for at_ms, (sender, payload, opcode) in enumerate(draw(st.lists(spoken, max_size=12))):
        where = {"connection": draw(st.integers(1, 2)), "at": at_ms}
        if opcode < 8 and draw(st.integers(0, 3)) == 0:
            cut = draw(st.integers(0, len(payload)))
            made.append(frame(sender, payload[:cut], opcode=opcode, fin=False, **where))
            made.append(frame(sender, payload[cut:], opcode=Opcode.CONTINUATION, **where))
        else:
            made.append(frame(sender, payload, opcode=opcode, **where))
        if draw(st.integers(0, 7)) == 0:
            made.append(Note(offset_ns=at_ms * 1_000_000, text="alive and well"))
    return numbered(made)


few = st.sampled_from
at_ms = st.integers(-1, 12).map(lambda value: value * 1_000_000)
_PARTS: dict[str, st.SearchStrategy[Any]] = {
    "from_ns": at_ms,
    "to_ns": at_ms,
    "connections": st.frozensets(st.integers(1, 3), min_size=1, max_size=1),
    "senders": st.frozensets(few(["client", "server"]), min_size=1),
    "opcodes": st.frozensets(
        few(["text", "binary", "ping", "continuation", 3, 11]), min_size=1, max_size=2
    ),
    "kinds": st.frozensets(
        few(["positions", "devices", "pong", "note", "control", "body"]), min_size=1, max_size=2
    ),
    "devices": st.frozensets(few(["1", "2", "a", "b", "Ōsaka", "x\u202ey"]), min_size=1),
    "beacons": st.frozensets(few(["1", "2", "a", "b"]), min_size=1),
    "texts": st.lists(few([b"alive", b"rssi", "Ō".encode()]), min_size=1, max_size=2).map(tuple),
    "paths": st.lists(few(["$.positions[?@.rssi < -80]", "$..name", "$"]), min_size=1).map(
        lambda texts: tuple(map(JsonPath, texts))
    ),
    "everything": st.booleans(),
}


@st.composite
def _selections(draw: st.DrawFn) -> Selection:
    """Of few parts, since more take nothing."""
    parts = draw(st.lists(few(list(_PARTS)), max_size=2, unique=True))
    return Selection(**{name: draw(_PARTS[name]) for name in parts})


selections = _selections()


# The same by hand, slowly.


class Naive:
    """Each filter, written again without any care for speed."""

    def __init__(self, selection: Selection) -> None:
        self.asked = selection
        self.names: dict[str, dict[int, str]] = {"devices": {}, "beacons": {}}

    def about(self, item: Item) -> dict[str, set[str]]:
        """Ids and names of devices and of beacons; what is told is remembered."""
        found: dict[str, set[str]] = {"devices": set(), "beacons": set()}
        if not (isinstance(item, DataMessage) and item.sender == "server"):
            return found
        for text in json_texts_of(item):
            if len(text) != 1:
                continue
            ((key, objects),) = text.items()
            if key in found:
                for each in objects:
                    own_id, name = each.get("id"), each.get("name")
                    found[key] |= {str(one) for one in (own_id, name) if one is not None}
                    if own_id is not None and name is not None:
                        self.names[key][own_id] = name
            elif key in ("positions", "events"):
                for each in objects:
                    for kind in found:
                        singular = kind.removesuffix("s")
                        own_id, name = each.get(f"{singular}Id"), each.get(f"{singular}Name")
                        name = name or self.names[kind].get(own_id)
                        found[kind] |= {str(one) for one in (own_id, name) if one is not None}
        return found

    def takes(self, item: Item, line: Line) -> bool:
        asked, about = self.asked, self.about(item)
        at_ns = item.offset_ns
        is_data = isinstance(item, DataMessage)
        payload = line.payload
        if isinstance(item, Note):
            payload = item.text.encode()
        checks = [
            asked.from_ns is None or at_ns >= asked.from_ns,
            asked.to_ns is None or at_ns <= asked.to_ns,
            not asked.connections or getattr(item, "connection", None) in asked.connections,
            not asked.senders or line.sender in asked.senders,
            not asked.opcodes
            or line.opcode in asked.opcodes
            or ("continuation" in asked.opcodes and is_data and item.fragments > 1),
            bool(set(asked.kinds) & set(line.kinds))
            if asked.kinds
            else asked.everything or line.kinds[0] not in BACKGROUND_KINDS,
            not asked.devices or bool(asked.devices & about["devices"]),
            not asked.beacons or bool(asked.beacons & about["beacons"]),
            not asked.texts or any(text in (payload or b"") for text in asked.texts),
            not asked.paths
            or any(
                by_hand(path.text, text) for path in asked.paths for text in json_texts_of(item)
            ),
        ]
        return all(checks)


def json_texts_of(item: Item) -> list[Any]:
    if not isinstance(item, DataMessage) or item.opcode != "text":
        return []
    try:
        return [json.loads(text) for text in item.payload.split(b"~")]
    except ValueError:
        return []


def by_hand(path: str, text: Any) -> bool:
    if path == "$":
        return True
    if path == "$..name":
        if isinstance(text, dict):
            return "name" in text or any(by_hand(path, one) for one in text.values())
        return isinstance(text, list) and any(by_hand(path, one) for one in text)
    objects = text.get("positions", []) if isinstance(text, dict) else []
    return any(isinstance(one.get("rssi"), int) and one["rssi"] < -80 for one in objects)


def chosen(selection: Selection, items: Iterable[Item]) -> list[Line]:
    return list(Selector(selection).lines(items))


@settings(max_examples=examples(400))
@given(talks() | traffic.rude.map(numbered), selections)
def test_every_filter_takes_what_a_naive_one_takes(
    entries: list[Entry], selection: Selection
) -> None:
    items = list(converse(entries))
    describer, naive = Describer(), Naive(selection)
    expected = []
    for item in items:
        if selection.to_ns is not None and item.offset_ns > selection.to_ns:
            # Nothing behind the last moment, not even what is found out there of earlier.
            break
        line = describer.line(item)
        if naive.takes(item, line):
            expected.append(line)
    assert chosen(selection, items) == expected


@settings(max_examples=examples(50))
@given(talks(), selections)
def test_different_filters_are_anded_and_the_values_of_one_ored(
    entries: list[Entry], selection: Selection
) -> None:
    items = list(converse(entries))
    taken = chosen(selection, items)
    every = Selection(everything=True)
    for part in ("devices", "beacons", "kinds", "opcodes", "senders", "connections", "texts"):
        values = getattr(selection, part)
        alone = [one for value in values for one in chosen(_with(every, part, [value]), items)]
        assert not values or all(line in alone for line in taken)


def _with(selection: Selection, part: str, values: Iterable[Any]) -> Selection:
    return msgspec.structs.replace(selection, **{part: type(getattr(selection, part))(values)})


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "name", "deviceId", "beaconName", "rssi", "latitude", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
keys = st.sampled_from(["devices", "positions", "beacons", "events", "status", "future"])
oddly = st.dictionaries(keys, json_like, max_size=2).map(lambda one: json.dumps(one).encode())


@settings(max_examples=examples(150))
@given(st.lists(payloads | oddly, min_size=1, max_size=4))
@example([b'{"positions":[],"devices":null}'])
@example([b'{"positions":[],"devices":[]}'])
@example([b'{"devices":[{"name":"\xff"}]}'])
@example([b'{"devices":[{"x":"\xff","name":"a"}]}'])
@example([b'\xef\xbb\xbf{"devices":[]}~'])
@example([b'{"devices":[{"name":"\\ud800"}]}'])
@example([b'{"devices":[{"x":"\\ud800","name":"a"}]}'])
def test_the_quick_way_of_describing_says_the_same_as_the_slow_one(texts: list[bytes]) -> None:
    items = [
        DataMessage(
            seq=1,
            offset_ns=0,
            connection=1,
            sender="server",
            opcode="text",
            payload=text,
            fragments=1,
        )
        for text in texts
    ]
    quickly = list(map(Describer().line, items))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(describing, "_one_kind", lambda message: None)
        slowly = list(map(Describer().line, items))
    assert quickly == slowly


@settings(max_examples=examples(50))
@given(talks())
def test_what_was_passed_by_told_its_names_all_the_same(entries: list[Entry]) -> None:
    whole, passing = Describer(), Describer()
    for number, item in enumerate(converse(entries)):
        expected = whole.line(item)
        if number % 2:
            passing.learn(item)
        else:
            assert passing.line(item) == expected


def test_messages_in_fragments_are_those_with_a_continuation() -> None:
    entries = [
        frame("server", b"{", fin=False),
        frame("server", b"}", opcode=Opcode.CONTINUATION),
        frame("server", b"{}"),
    ]
    taken = chosen(Selection(opcodes=frozenset({"continuation"})), converse(numbered(entries)))
    assert [line.seq for line in taken] == [2]


def test_a_name_counts_also_where_its_message_is_not_taken() -> None:
    told = frame("server", b'{"devices":[{"id":5,"name":"cart"}]}')
    told_of_a_beacon = frame("server", b'{"beacons":[{"id":6,"name":"door"}]}')
    escaped = frame("server", b'{"dev\\u0069ces":[{"id":7,"name":"lift"}]}')
    at = frame("server", b'{"positions":[{"deviceId":5,"beaconId":6},{"deviceId":7}]}')
    items = list(converse([told, told_of_a_beacon, escaped, at]))
    for asked in (Selection(devices=frozenset({"cart"})), Selection(beacons=frozenset({"door"}))):
        (line,) = chosen(msgspec.structs.replace(asked, texts=(b"positions",)), items)
        assert line.summary == "2 positions: cart at door; lift"


def test_a_path_looks_into_text_alone() -> None:
    entries = [frame("server", b"{}"), frame("server", b"{}", opcode=Opcode.BINARY)]
    taken = chosen(Selection(paths=(JsonPath("$"),)), converse(entries))
    assert [line.opcode for line in taken] == ["text"]


def test_a_checkpoint_tells_names() -> None:
    known = Checkpoint(
        offset_ns=0, devices=[b'{"id":5,"name":"cart"}'], beacons=[b'{"id":6,"name":"door"}']
    )
    at = frame("server", b'{"positions":[{"deviceId":5,"beaconId":6}]}')
    for asked in (Selection(devices=frozenset({"cart"})), Selection(beacons=frozenset({"door"}))):
        (line,) = chosen(asked, converse([known, at]))
        assert line.summary == "cart at door"


def test_a_name_is_that_of_the_moment() -> None:
    said = [
        b'{"devices":[{"id":5,"name":"old"}]}',
        b'{"positions":[{"deviceId":5}]}',
        b'{"devices":[{"id":5,"name":"new"}]}',
        b'{"positions":[{"deviceId":5}]}',
    ]
    items = list(converse(numbered(frame("server", one) for one in said)))
    for name, expected in (("old", [1, 2]), ("new", [3, 4]), ("5", [1, 2, 3, 4])):
        taken = chosen(Selection(devices=frozenset({name})), items)
        assert [line.seq for line in taken] == expected


def test_the_id_of_a_position_is_no_device() -> None:
    at = frame("server", b'{"positions":[{"id":5,"deviceId":6}]}')
    assert not chosen(Selection(devices=frozenset({"5"})), converse([at]))


def test_a_note_is_looked_into() -> None:
    notes = [Note(offset_ns=0, text=text) for text in ("the gate opens", "lunch")]
    (line,) = chosen(Selection(texts=(b"gate",)), converse(notes))
    assert line.summary == "the gate opens"


def test_a_body_is_never_looked_into() -> None:
    """It may hold a password, which nobody is to find out letter by letter."""
    body = Body(
        offset_ns=0, connection=1, exchange=1, sender="client", last=True, text="password=x"
    )
    assert not chosen(Selection(texts=(b"password",), everything=True), converse([body]))


def test_which_selections_take_all() -> None:
    assert Selection().is_all
    assert Selection(everything=True).is_all
    assert not Selection(texts=(b"",)).is_all
    assert not Selection(from_=read_moment("0")).is_all


def test_which_names_have_to_be_told() -> None:
    asked = Selection(devices=frozenset({"5", "cart"}), beacons=frozenset({"door", "6"}))
    assert asked.names == {"cart", "door"}


def test_a_broken_message_and_an_exchange_are_selected_like_others() -> None:
    entries = traffic.recorded([("begin", 1, 3, 1000), ("say", 2, 0, 1000)])
    items = list(converse(numbered(entries)))
    assert {type(item) for item in items} >= {BrokenMessage, Exchange}
    taken = chosen(Selection(connections=frozenset({1})), items)
    assert [line.connection for line in taken] == [1] * len(taken)


# As options


@click.command()
@click.option("--other")
@selection_options
def command(selection: Selection, other: str | None) -> None:
    click.echo(repr(in_recording(selection, header(timing=other or "measured"), "a\x1b")))


def invoke(*options: str) -> Any:
    return CliRunner().invoke(command, options)


def test_options_become_a_selection() -> None:
    given_options = [
        *("--from", "1.5s", "--to", "2026-11-22T17:00:02.123456789Z"),
        *("--kind", "PING", "--kind", "Positions", "--device", "x", "--device", "y"),
        *("--beacon", "z", "--sender", "client", "--connection", "3", "--text", "ä"),
        *("--opcode", "TEXT", "--opcode", "9", "--opcode", "3", "--path", "$..rssi"),
    ]
    expected = Selection(
        from_ns=1_500_000_000,
        to_ns=2_000_000_000,
        kinds=frozenset({"PING", "positions"}),
        devices=frozenset({"x", "y"}),
        beacons=frozenset({"z"}),
        senders=frozenset({"client"}),
        connections=frozenset({3}),
        opcodes=frozenset({"text", "ping", 3}),
        texts=("ä".encode(),),
        paths=(JsonPath("$..rssi"),),
    )
    taken: list[Selection] = []

    @click.command()
    @selection_options
    def take(selection: Selection) -> None:
        taken.append(in_recording(selection, header(), "a"))

    take.main(given_options, standalone_mode=False)
    (found,) = taken
    for name in Selection.__struct_fields__:
        if name != "paths":
            assert getattr(found, name) == getattr(expected, name), name
    assert [path.text for path in found.paths] == ["$..rssi"]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--from", "noon"], "expected seconds since the recording's start, such as 90"),
        (["--opcode", "16"], "expected continuation, text, binary, close, ping, pong, or a number"),
        (["--opcode", "data"], "'data' is no opcode"),
        (["--connection", "x"], "not a valid integer"),
        (["--path", "$.a["], "'$.a[' is no JSONPath: unexpected end of query; expected a query"),
        (["--path", "$.a[?@.x =~ 1]"], "unexpected token '=' at character 10"),
        (["--path", "$[?nope(@.x)]"], "function 'nope' is not defined at character 4"),
        (["--path", ""], "is no JSONPath"),
        (["--kind", "webSessions"], "'webSessions' is no kind; expected one of"),
        (["--kind", "pin"], ", webSessionTimeout, "),
        (["--kind", "x"], ", PING, pong, "),
        (["--from", "2s", "--to", "1s"], "nothing stands between these: --to is before --from"),
        (["--other", "none", "--to", "1"], "a\\x1b: it has no times: leave out --from and --to"),
    ],
)
def test_a_wrong_option_is_a_usage_error_that_says_what_was_expected(
    options: list[str], why: str
) -> None:
    result = invoke(*options)
    assert result.exit_code == 2
    assert why in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("path", "payload", "is_found"),
    [
        ("$.positions[?@.rssi < -80]", b'{"positions":[{"rssi":-81}]}', True),
        ("$.positions[?@.rssi < -80]", b'{"positions":[{"rssi":-80}]}', False),
        ("$.positions[?@.rssi < -80]", b'{}~{"positions":[{"rssi":-81.5}]}', True),
        ("$.positions[?@.beaconName == 'd\"']", b'{"positions":[{"beaconName":"d\\""}]}', True),
        ("$.a", b'{"a":null}', True),
        ("$.a", b'{"a":"\\ud800"}', True),
        ("$.a", b'{"\\u0061":1}', True),
        ("$.a.b", b'{"a":{"\\u0062":1}}', True),
        ("$['a/b']", b'{"a\\/b":1}', True),
        ("$['\xfc']", '{"ü":1}'.encode(), True),
        ("$['a','b']", b'{"b":1}', True),
        ("$..c", b'{"b":{"c":1}}', True),
        ("$[?!@.c]", b'{"b":{}}', True),
        ("$.positions[?@.rssi == $.x]", b'{"positions":[{"a":1}]}', True),
        ("$.a", b"[" * 5000 + b"]" * 5000, False),
        ("$.a", b"hello", False),
        ("$[?length(@) > 1]", b'["a","ab"]', True),
    ],
)
def test_what_a_path_finds(path: str, payload: bytes, is_found: bool) -> None:
    assert JsonPath(path).found_in(payload) == is_found
    assert JsonPath(path).may_be_in(payload) or not is_found


def test_a_payload_without_a_name_of_the_path_is_not_read() -> None:
    path = JsonPath("$.positions[?@.rssi < -80].beaconName")
    assert not path.may_be_in(b'{"devices":[{"name":"positions"}]}')
    assert path.may_be_in(b'{"positions":[{"beaconName":"a"}]}')


@settings(max_examples=examples(50))
@given(
    st.binary(max_size=60) | payloads,
    st.sampled_from(["$", "$..*", "$..name", "$.devices", "$[?@.x == 1]"]),
)
def test_a_path_takes_any_payload(payload: bytes, path: str) -> None:
    query = JsonPath(path)
    assert query.may_be_in(payload) or not query.found_in(payload)
