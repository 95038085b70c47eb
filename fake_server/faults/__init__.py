"""What may go wrong on purpose: one file a fault, and the table of them.

``docs/adding-a-fault.md`` says how to write another.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from fake_server.faults.base import Fault
from fake_server.faults.board import FaultBoard
from fake_server.faults.schedule import Injection, Schedule

__all__ = [
    "FAULTS",
    "FaultBoard",
    "Injection",
    "Schedule",
    "fault_type",
    "injection_from",
    "parse_injection",
]

FAULTS: Final = (
    # what a message says
    "broken-json",
    "bad-utf8",
    "joined-texts",
    "field-added",
    "field-removed",
    "field-retyped",
    "field-null",
    # whether and how often it comes
    "duplicate",
    "reorder",
    "loss",
    # its frames
    "fragmentation",
    "reserved-bits",
    "reserved-opcode",
    "masked-frame",
    "oversized-frame",
    # its bytes
    "chunking",
    "torn-frame",
    # its time
    "delay",
    "stall",
    # the connection
    "close",
    "fin",
    "rst",
    "flood",
    # PINGs and sessions
    "ping-late",
    "ping-absent",
    "ping-doubled",
    "ping-repeated",
    "session-expiry",
    # before the socket
    "refusal",
    "wrong-accept",
    "silence",
    "slow-login",
)
"""The names of all faults. That of ``broken-json`` is the class ``BrokenJson`` in
``broken_json.py``.
"""


def fault_type(name: str) -> type[Fault]:
    """The class of a fault. Raises ValueError on a name that there is not."""
    if name not in FAULTS:
        raise ValueError(f"there is no fault {name!r}; {_meant(name, FAULTS)}")
    module = importlib.import_module(f"fake_server.faults.{name.replace('-', '_')}")
    for _, found in inspect.getmembers(module, inspect.isclass):
        is_its_own = found.__module__ == module.__name__
        if is_its_own and issubclass(found, Fault) and found.__struct_config__.tag == name:
            return found
    raise LookupError(f"{module.__name__} holds no fault tagged {name!r}")


def injection_from(values: Mapping[str, Any], *, from_text: bool = False) -> Injection:
    """An injection from one flat object: ``fault`` is the name, the other keys are fields of that
    fault and of :class:`Schedule`.

    With ``from_text`` numbers and booleans may stand as text, and lists as text with ``+`` between.
    Raises ValueError, saying which field, what was read and what was expected.
    """
    rest = dict(values)
    name = rest.pop("fault", None)
    if not isinstance(name, str):
        raise ValueError(  # noqa: TRY004 - one error for whatever is wrong with a fault
            "expected 'fault', the name of one: " + ", ".join(FAULTS)
        )
    kind = fault_type(name)
    schedule: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for key, value in rest.items():
        if key in Schedule.__struct_fields__:
            schedule[key] = _listed(value) if key in ("sockets", "kinds") else value
        elif key in kind.__struct_fields__:
            own[key] = value
        else:
            known = (*kind.__struct_fields__, *Schedule.__struct_fields__)
            raise ValueError(f"{name} has no field {key!r}; {_meant(key, known)}")
    try:
        return Injection(
            msgspec.convert({"fault": name, **own}, kind, strict=not from_text),
            msgspec.convert(schedule, Schedule, strict=not from_text),
        )
    except msgspec.ValidationError as error:
        raise ValueError(f"{name}: {_in_our_words(str(error), rest)}") from error


def parse_injection(text: str) -> Injection:
    """An injection as a command line has it: ``NAME`` or ``NAME:field=value,field=value``.

    >>> parse_injection("close:code=1011,after=3").schedule.after
    3
    """
    name, _, rest = text.partition(":")
    values: dict[str, Any] = {}
    for pair in rest.split(",") if rest else ():
        key, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(
                f"{name}: {pair!r} is no field=value; a list has + between, text with a comma"
                " stands in a file for --faults"
            )
        if key.strip() in values:
            raise ValueError(f"{name}: {key.strip()} is given twice")
        values[key.strip()] = value
    return injection_from({**values, "fault": name.strip()}, from_text=True)


def _meant(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"


def _in_our_words(error: str, values: Mapping[str, Any]) -> str:
    """What msgspec says of a value that it cannot convert, with the field and what was read."""
    found = re.fullmatch(r"(.*) - at `\$\.(\w+).*`", error)
    if found is None:
        return error.replace("Object missing required field", "expected the field")
    words = found[1][0].lower() + found[1][1:]
    return f"{found[2]} = {values.get(found[2])!r}: {words.replace('`', '')}"


def _listed(value: Any) -> Any:
    return value.split("+") if isinstance(value, str) else value
