"""Contracts for the tests of this folder: made up by hypothesis, and learnt from JSON texts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from recorder.importers import import_file
from recorder.track.kinds import read_message
from replayer.contract.learning import Learner
from replayer.contract.model import (
    JSON_TYPES,
    Answer,
    Call,
    Contract,
    Field,
    LearntFrom,
    Message,
    Shape,
)
from replayer.reading.calls import Call as RestCall
from replayer.reading.calls import calls
from replayer.reading.conversation import DataMessage, converse
from replayer.reading.series import SeriesReader
from tests.strategies import as_raw, frame_entry, json_texts, make_header, texts

FIXTURES = Path(__file__).parents[4] / "fixtures"

FORMS = (
    *("", "date-time.000+0000", "date-timeZ", "date-time.000+00:00", "date time-minutes", "date"),
    *("uuid", "uuid-plain", "mac", "ipv4", "email", "uri", "integer", "hex", "empty", "null"),
    "a form of tomorrow",
)

counts = st.integers(0, 3)
raws = st.none() | json_texts.map(as_raw)


def fields(shapes: SearchStrategy[Shape]) -> SearchStrategy[dict[str, Field]]:
    """Objects' fields of these shapes."""
    return st.dictionaries(
        texts | st.sampled_from(["id", "$ref", "type", "required", "__proto__", ""]),
        st.builds(Field, present=counts, shape=shapes),
        max_size=3,
    )


def _around(inner: SearchStrategy[Shape]) -> SearchStrategy[Shape]:
    return st.builds(
        Shape,
        seen=counts,
        types=st.dictionaries(st.sampled_from(JSON_TYPES), counts, max_size=4),
        masked=st.just(0) | counts,
        formats=st.dictionaries(st.sampled_from(FORMS), counts, max_size=3),
        values=st.none() | st.dictionaries(texts, counts, max_size=3),
        minimum=raws,
        longest=st.none() | counts,
        fields=fields(inner),
        items=st.none() | inner,
        example=raws,
    )


shapes = st.recursive(st.just(Shape()), _around, max_leaves=4)

call_names = st.tuples(
    st.sampled_from(["GET", "PUT", "POST", "DELETE", "PURGE", "get"]),
    st.lists(
        st.sampled_from(["api", "devices", "{id}", "{x", "a b", "ä", "", "x.y"]),
        min_size=1,
        max_size=4,
    ).map(lambda parts: "/" + "/".join(parts)),
).map(" ".join)

answers = st.dictionaries(
    st.sampled_from(["200", "204", "404", "599", "999", "0"]),
    st.builds(
        Answer,
        seen=counts,
        content_types=st.dictionaries(
            st.sampled_from(["application/json", "text/html", "odd"]), counts, max_size=2
        ),
        shape=st.none() | shapes,
    ),
    max_size=2,
)

contracts = st.builds(
    Contract,
    tool=texts,
    learnt_from=st.lists(
        st.builds(LearntFrom, id=texts, started_at=texts, messages=counts, calls=counts), max_size=2
    ),
    messages=st.dictionaries(
        texts | st.sampled_from(["", "positions", "status", "ping", "pong", "a+b", "a-b"]),
        st.builds(Message, seen=counts, shape=shapes),
        max_size=3,
    ),
    calls=st.dictionaries(
        call_names,
        st.builds(
            Call,
            seen=counts,
            query=fields(shapes),
            request=st.none() | shapes,
            form=fields(shapes),
            answers=answers,
        ),
        max_size=3,
    ),
)


def learnt(json_messages: Iterable[str]) -> Contract:
    """What a socket that said these texts teaches."""
    learner = Learner()
    entries = [
        msgspec.structs.replace(frame_entry(text), seq=seq)
        for seq, text in enumerate(json_messages, 1)
    ]
    learner.learn(make_header(), entries)
    return learner.contract("a test")


def imported(folder: Path, *sources: str) -> tuple[Contract, list[str], list[RestCall]]:
    """What these fixtures teach together, with each JSON text and each REST call in them."""
    learner = Learner()
    texts: list[str] = []
    rest: list[RestCall] = []
    for number, source in enumerate(sources):
        recording = folder / f"{number}.track.jsonl"
        with (FIXTURES / source).open("rb") as file:
            import_file(file, recording, name=source)
        with SeriesReader([recording]) as reader:
            learner.learn(reader.header, reader)
        with SeriesReader([recording]) as reader:
            entries = list(reader)
        rest += calls(entries)
        texts += [
            part.data.decode()
            for item in converse(entries)
            if isinstance(item, DataMessage) and item.sender == "server"
            for part in read_message(item.payload)
            if part.kind != "unparsed"
        ]
    return learner.contract("a test"), texts, rest
