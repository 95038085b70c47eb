"""What a contract is: the shape that was seen of each kind of message and each REST call, counted.

A contract is a JSON file, ``format`` and ``version`` first. Numbers and examples stand in it as
they came, as raw JSON, since ``100.0`` is not ``100``. Unknown keys of a file are an error: a
contract is ours, and one of a later version would be read wrongly.
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal

import msgspec

from recorder.errors import CannotRead
from recorder.recording.zstd_frames import is_zstd
from replayer.errors import NoContract

__all__ = [
    "FORMAT",
    "JSON_TYPES",
    "SUBJECT_NAMES",
    "VERSION",
    "Answer",
    "Call",
    "Contract",
    "Field",
    "LearntFrom",
    "Message",
    "Shape",
    "decode_contract",
    "encode_contract",
    "is_contract",
    "json_value",
    "load_contract",
]

FORMAT: Final = "track-contract"
VERSION: Final = 1

JSON_TYPES: Final = ("null", "boolean", "integer", "number", "string", "array", "object")
"""The types of a :class:`Shape`. An integer is a number without fraction and exponent, as it was
spelled."""

SUBJECT_NAMES: Final = ("deviceId", "id")
"""Where an object says which device it is of, or which it is itself (manual section 3.6)."""


class Field(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A field of an object: in how many of the objects it was there, and what it held.

    ``subjects`` counts the subjects (see :class:`Shape`) that were seen with it, and ``without``
    those that were seen without; one may be in both.
    """

    present: int
    subjects: int = 0
    without: int = 0
    shape: Shape


class Shape(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """What stood in one place of the JSON, over all that was seen.

    ``seen`` counts the values, null ones too, and ``types`` how many had each of
    :data:`JSON_TYPES`. ``subjects`` counts by type the different devices (else beacons, or other
    objects with an id) that the values were of: a hundred values of one device tell of one device.
    It is empty where there were none to tell apart, or too many to hold. ``masked`` counts values
    that redaction had replaced by a mark: of their type and form nothing is known, and ``types``
    leaves them out. ``formats`` counts the forms of strings by name
    (:mod:`replayer.contract.formats`; ``""`` is free text). ``values`` is an enumeration: each
    string that was seen, counted; None where they are no enumeration.

    ``minimum`` and ``maximum`` are of numbers, ``shortest`` and ``longest`` of strings, in
    characters, ``fewest`` and ``most`` of arrays, in elements; None where there were none.
    ``fields`` are those of objects, in the order in which they first came; one is required if
    it was ``present`` in each of ``types["object"]``. ``others`` counts members that were not
    learnt, since their names are data: too many for a list of fields. ``items`` is the shape of all
    elements of all arrays. ``example`` is a value; None of objects and arrays, whose fields and
    elements have theirs, and where only null was seen.

    ``minimum``, ``maximum`` and ``example`` are what :func:`json_value` makes of their JSON.
    """

    seen: int = 0
    types: dict[str, int] = {}
    subjects: dict[str, int] = {}
    masked: int = 0
    formats: dict[str, int] = {}
    values: dict[str, int] | None = None
    minimum: Any = None
    maximum: Any = None
    shortest: int | None = None
    longest: int | None = None
    fewest: int | None = None
    most: int | None = None
    fields: dict[str, Field] = {}
    others: int = 0
    items: Shape | None = None
    example: Any = None


class Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of message that the server sends. ``seen`` counts the JSON texts, ``shape`` is of
    the whole text: an object whose keys name the kind (manual section 3)."""

    seen: int
    shape: Shape


class Answer(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """What a call was answered with one status. ``content_types`` are counted without parameters;
    ``shape`` is None where no body was JSON."""

    seen: int
    content_types: dict[str, int] = {}
    shape: Shape | None = None


class Call(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """One REST call (manual sections 2 and 4). ``query`` has the parameters as strings, ``request``
    is the shape of JSON bodies, ``form`` the fields of form bodies, as strings; ``answers`` are
    by status."""

    seen: int
    query: dict[str, Field] = {}
    request: Shape | None = None
    form: dict[str, Field] = {}
    answers: dict[str, Answer] = {}


class LearntFrom(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A recording that a contract was learnt from: its header's ``id`` and ``started_at``."""

    id: str
    started_at: str
    messages: int
    calls: int


class Contract(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of it. ``messages`` is by kind: the keys of the JSON text, sorted, joined by ``+``, so
    ``positions``, ``webSessionTimeout``, and ``""`` for ``{}``. ``unreadable`` counts what the
    server sent on the socket that no JSON object could be made of. ``calls`` is by method and path,
    with ``{id}`` where a number stood: ``PUT /api/devices/{id}``. The path begins with ``/api``,
    whatever stands before it."""

    format: Literal["track-contract"] = "track-contract"
    version: Literal[1] = 1
    tool: str
    learnt_from: list[LearntFrom] = []
    unreadable: int = 0
    messages: dict[str, Message] = {}
    calls: dict[str, Call] = {}


def _keep(number: str) -> msgspec.Raw:
    return msgspec.Raw(number.encode("ascii"))


_CONTRACT_START: Final = re.compile(rb'\s*\{\s*"format"\s*:\s*"track-contract"')

_DECODER: Final = msgspec.json.Decoder(Contract, float_hook=_keep)
_decode_value: Final = msgspec.json.Decoder(float_hook=_keep).decode


def json_value(text: str) -> Any:
    """A JSON value whose numbers with a fraction or an exponent stay as they are spelled, as
    :class:`msgspec.Raw`: encoded again it is the same text.

    >>> msgspec.json.encode([json_value("1.10"), json_value("100"), json_value('"a"')])
    b'[1.10,100,"a"]'
    """
    return _decode_value(text)


def encode_contract(contract: Contract) -> bytes:
    """The file, indented, with a line end: to be read in a diff."""
    return msgspec.json.format(msgspec.json.encode(contract), indent=1) + b"\n"


def decode_contract(data: bytes, name: str) -> Contract:
    """Read a contract from the content of the file ``name``. Raises NoContract."""
    try:
        data.decode("utf-8")
        return _DECODER.decode(data)
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError) as exc:
        if _is_recording(data):
            raise NoContract(
                f"{name} is a recording, not a contract: `track-replayer contract infer` makes one"
                " of it"
            ) from exc
        if isinstance(exc, UnicodeDecodeError):
            raise NoContract(f"{name} is no contract: it is no UTF-8 at byte {exc.start}") from exc
        if not isinstance(exc, msgspec.ValidationError):
            raise NoContract(f"{name} is no contract: it is no JSON: {exc}") from exc
        raise NoContract(
            f"{name} is no contract of version {VERSION}: {exc}; make one with"
            " `track-replayer contract infer`"
        ) from exc


def _is_recording(data: bytes) -> bool:
    """Whether it begins as a recording does, compressed or not."""
    return is_zstd(data) or re.match(rb'\s*\{"kind"\s*:\s*"header"', data) is not None


def is_contract(path: str) -> bool:
    """Whether the file at ``path`` begins as a contract does; False if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return _CONTRACT_START.match(file.read(200)) is not None
    except OSError:
        return False


def load_contract(path: str) -> Contract:
    """Read the contract at ``path``. Raises CannotRead and NoContract."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as exc:
        raise CannotRead(f"{path} cannot be read: {exc.strerror}") from exc
    return decode_contract(data, path)
