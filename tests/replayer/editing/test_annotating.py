"""Notes stand where they belong, and nothing else changes."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.model import AnyEntry, Checkpoint, End, Note
from replayer.editing.annotating import annotate
from replayer.editing.cutting import cut
from tests.profiles import examples
from tests.replayer.editing.support import ended
from tests.replayer.recordings import ms, session
from tests.replayer.traffic import polite

NOTES = st.lists(st.tuples(st.integers(0, 10**11), st.text(max_size=5)), max_size=5)


@settings(max_examples=examples(60))
@given(polite, NOTES)
def test_notes_are_added_in_their_place(
    entries: list[AnyEntry], notes: list[tuple[int, str]]
) -> None:
    source = ended(entries)
    made = list(annotate(source, notes))
    times = [entry.offset_ns or 0 for entry in made]
    assert times == sorted(times)
    assert isinstance(made[-1], End)
    added = [entry for entry in made if entry.seq == 0]
    assert [(one.offset_ns, one.text) for one in added if isinstance(one, Note)] == sorted(
        notes, key=lambda note: note[0]
    )
    assert [entry for entry in made[:-1] if entry.seq] == source[:-1]
    for before, after in itertools.pairwise(made):
        if before.seq == 0 and not isinstance(after, End):
            assert (before.offset_ns or 0) < (after.offset_ns or 0) or after.seq == 0


def test_a_checkpoint_that_opens_stays_first() -> None:
    source = ended(cut(ended(session()), from_ns=ms(1250), keep_start=True))[:-1]
    made = list(annotate(source, [(0, "before")]))
    assert isinstance(made[0], Checkpoint)
    assert made[1] == Note(offset_ns=ms(1250), text="before")


def test_a_recording_without_an_end_is_annotated_too() -> None:
    assert list(annotate([], [(5, "late")])) == [Note(offset_ns=5, text="late")]
