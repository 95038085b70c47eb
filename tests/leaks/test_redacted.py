"""A redacted recording is clean. Here the redaction is the thing judged."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from recorder.importers import import_file
from recorder.model import FrameEntry, Note
from recorder.redaction import Redactor
from recorder.redaction.options import RedactionOptions
from recorder.redaction.share import RedactionKey
from recorder.wire.frames import Frame
from tests.leaks.support import detectors, known, look_at, look_through
from tests.profiles import examples
from tests.redaction.strategies import planted

FIXTURES = Path(__file__).parents[2] / "fixtures"


def redacted(entries: list[Any]) -> list[Any]:
    redactor = Redactor("secrets")
    out = [one for entry in entries for one in redactor.feed(entry)]
    return [*out, *redactor.close()]


@settings(max_examples=examples(60), deadline=None)
@given(planted())
def test_traffic_with_planted_secrets_is_clean_after_redaction(
    planted: tuple[str, list[Any]],
) -> None:
    secret, entries = planted
    findings = look_at(redacted(entries), known(secret))
    assert findings == []


@settings(max_examples=examples(60), deadline=None)
@given(planted())
def test_traffic_with_planted_secrets_is_not_clean_before_redaction(
    planted: tuple[str, list[Any]],
) -> None:
    secret, entries = planted
    by_value = look_at(entries, known(secret))
    assert by_value, "by its value"
    if not any(isinstance(entry, Note) for entry in entries):
        assert look_at(entries), "by its name or its shape"


@pytest.mark.parametrize("profile", ["secrets", "share"])
@pytest.mark.parametrize("name", ["browser.har", "curl-capture.bin", "manual-excerpt.txt"])
def test_a_capture_by_another_tool_is_clean_once_it_is_imported(
    tmp_path: Path, name: str, profile: Any
) -> None:
    key = RedactionKey.random() if profile == "share" else None
    redactor = RedactionOptions(profile=profile, key=key).redactor()
    with open(FIXTURES / name, "rb") as source:
        import_file(source, tmp_path / "rec", name=name, redactor=redactor)
    findings, look = look_through(tmp_path / "rec", known("s3cret-pass"))
    assert findings == []
    assert (look.is_recording, look.profile) == (True, profile)


def test_bytes_that_cannot_be_read_are_clean_once_they_are_shared() -> None:
    frame = Frame.make(2, random.Random(1).randbytes(500))
    entry = FrameEntry.of(frame, connection=1, sender="server", offset_ns=1)
    assert detectors(look_at([entry])) == ["not-looked-into"]
    redactor = RedactionOptions(profile="share", key=RedactionKey.random()).redactor()
    assert look_at([*redactor.feed(entry), *redactor.close()], profile="share") == []


def test_a_capture_of_a_browser_is_not_clean_before(tmp_path: Path) -> None:
    with open(FIXTURES / "browser.har", "rb") as source:
        import_file(source, tmp_path / "rec", name="har", redactor=Redactor("none"))
    for path in (tmp_path / "rec", FIXTURES / "browser.har"):
        assert {"cookie", "password", "email"} <= set(detectors(look_through(path)[0]))


@pytest.mark.parametrize("path", sorted((FIXTURES / "manual").glob("*.json")), ids=lambda p: p.stem)
def test_the_objects_of_the_manual_tell_whose_they_are_until_they_are_shared(path: Path) -> None:
    name = path.stem.split("-")[1]
    text = f'{{"{name}":[{path.read_text()}]}}'
    frame = FrameEntry.of(Frame.make(1, text.encode()), connection=1, sender="server", offset_ns=1)
    assert look_at([frame]) == []
    found = set(detectors(look_at([frame], profile="share")))
    assert found
    assert found <= {"name", "uuid", "mac", "unique-id", "phone", "contact", "address"}
    redactor = RedactionOptions(profile="share", key=RedactionKey.random()).redactor()
    shared = [*redactor.feed(frame), *redactor.close()]
    assert look_at(shared, profile="share") == []
