"""Rules of the user's own, from a TOML file: what a profile cannot know is taken out, too.

::

    [[path]]
    path = "$..attributes.driver"     # where the value stands in a JSON text
    rule = "driver"                   # the name to count it under
    action = "pseudonym"              # or "mark" (the default), or "drop"

    [[pattern]]
    pattern = "Order [A-Z]{2}-([0-9]+)"   # its first group is replaced, or else all of it
    rule = "order"

A path is a part of JSONPath (RFC 9535): ``$``, ``.name``, ``['name']``, ``[0]``, ``.*``, ``[*]``,
and ``..`` for any depth. A pattern is one of Python's ``re``. Rules only ever take out more: none
keeps what a profile takes.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeAlias, get_args

import msgspec

from recorder.errors import CannotRead, RulesError
from recorder.redaction.edits import Edit, Transform
from recorder.redaction.rules import MARK, mark
from recorder.redaction.share.merged import in_order
from recorder.redaction.share.pseudonyms import Pseudonyms, normal
from recorder.redaction.share.tokens import TOKEN

__all__ = [
    "Action",
    "OwnRules",
    "OwnTransform",
    "PathRule",
    "PatternRule",
    "Step",
    "Together",
    "load_own_rules",
]

Action: TypeAlias = Literal["mark", "pseudonym", "drop"]
"""``mark`` puts ``[redacted]``, ``pseudonym`` the rule's name and eight letters that are the same
for the same value and key, ``drop`` null in JSON and nothing elsewhere.
"""


class Step(NamedTuple):
    """One step of a path: the name or index, None for any; ``deep`` for any depth before it."""

    at: str | int | None
    deep: bool


class PathRule(msgspec.Struct, frozen=True):
    """What stands at a path of a JSON text is taken out."""

    steps: tuple[Step, ...]
    rule: str
    action: Action


class PatternRule(msgspec.Struct, frozen=True):
    """What a pattern matches is taken out."""

    pattern: re.Pattern[str]
    rule: str
    action: Action


class OwnRules(msgspec.Struct, frozen=True):
    """The rules of one file."""

    paths: tuple[PathRule, ...] = ()
    patterns: tuple[PatternRule, ...] = ()

    @property
    def need_key(self) -> bool:
        """Whether any of them makes pseudonyms."""
        actions = [rule.action for rule in self.paths] + [rule.action for rule in self.patterns]
        return "pseudonym" in actions


# Reading them

_KEYS: Final = {"path": ("path", "rule", "action"), "pattern": ("pattern", "rule", "action")}
_STEP: Final = re.compile(
    r"(?P<deep>\.\.)?+(?:(?P<dot>(?<!\.)\.)?+(?P<name>\*|[^\W\d]\w*)"
    r"|\[(?:(?P<any>\*)|(?P<index>[0-9]{1,9})|'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\")\])"
)
_PATH_SYNTAX: Final = "expected $, then .name, ['name'], [0], .*, [*], or ..name for any depth"


def load_own_rules(path: str | Path) -> OwnRules:
    """The rules in a TOML file.

    Raises CannotRead if it cannot be opened, and RulesError, naming the file, the rule and what was
    expected, if anything in it is wrong.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as exc:
        raise CannotRead(f"{path}: the rules cannot be read: {exc.strerror}") from exc
    try:
        table = tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as exc:  # not UTF-8, not TOML, or nested beyond all sense
        raise RulesError(f"{path}: not a TOML file: {exc}") from exc
    for name, entries in table.items():
        if name not in _KEYS:
            raise RulesError(f"{path}: there is no {name!r}; expected [[path]] and [[pattern]]")
        if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
            raise RulesError(f"{path}: expected [[{name}]], in two pairs of brackets")
    paths = [
        PathRule(_steps(one["path"], where), one["rule"], one["action"])
        for where, one in _checked(path, table, "path")
    ]
    patterns = [
        PatternRule(_pattern(one["pattern"], where), one["rule"], one["action"])
        for where, one in _checked(path, table, "pattern")
    ]
    if not paths and not patterns:
        raise RulesError(f"{path}: it holds no rule; expected [[path]] or [[pattern]]")
    return OwnRules(tuple(paths), tuple(patterns))


def _checked(
    path: str | Path, table: dict[str, Any], name: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, found in enumerate(table.get(name, ()), 1):
        where = f"{path}: [[{name}]] {number}"
        for key, value in found.items():
            if key not in _KEYS[name]:
                expected = ", ".join(_KEYS[name])
                raise RulesError(f"{where}: there is no {key!r}; expected {expected}")
            if not isinstance(value, str):
                raise RulesError(f"{where}: {key}: expected a string, found {value!r}")
        for key in (name, "rule"):
            if key not in found:
                raise RulesError(f"{where}: {key!r} is missing")
        if not re.fullmatch("[a-z][a-z0-9_-]{0,30}", found["rule"]):
            raise RulesError(
                f"{where}: rule: expected up to 31 of a-z, 0-9, _ and -, a letter first, "
                f"found {found['rule']!r}"
            )
        action = found.get("action", "mark")
        if action not in get_args(Action):
            expected = ", ".join(get_args(Action))
            raise RulesError(f"{where}: action: expected one of {expected}, found {action!r}")
        yield where, {**found, "action": action}


def _steps(path: str, where: str) -> tuple[Step, ...]:
    if not path.startswith("$"):
        raise RulesError(f"{where}: {path!r}: {_PATH_SYNTAX}")
    steps = []
    at = 1
    while at < len(path):
        found = _STEP.match(path, at)
        # A name follows one dot or two, a bracket none or two.
        if found is None or (
            found["name"] is not None and (found["dot"] is None) == (found["deep"] is None)
        ):
            what = "a filter, slice or list" if path[at : at + 1] == "[" else "this"
            raise RulesError(
                f"{where}: {path!r}: {what} is not supported, from {path[at:]!r} on; {_PATH_SYNTAX}"
            )
        name = found["name"] or found["single"] or found["double"]
        step: str | int | None = None if name == "*" and found["name"] else name
        if found["index"] is not None:
            step = int(found["index"])
        elif found["single"] == "" or found["double"] == "":
            step = ""
        steps.append(Step(step, found["deep"] is not None))
        at = found.end()
    if not steps:
        raise RulesError(f"{where}: '$' would take out every JSON text as a whole; {_PATH_SYNTAX}")
    return tuple(steps)


def _pattern(pattern: str, where: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as exc:
        raise RulesError(f"{where}: {pattern!r} is no pattern of Python's re: {exc}") from exc
    if compiled.search("") is not None or compiled.fullmatch("") is not None:
        raise RulesError(
            f"{where}: {pattern!r} matches the empty text, and so everywhere; make it match at "
            f"least one character, as with + in place of *"
        )
    return compiled


# Applying them


class OwnTransform:
    """The transform of a user's rules. ``pseudonyms`` is needed where a rule makes some."""

    def __init__(self, rules: OwnRules, pseudonyms: Pseudonyms | None = None) -> None:
        if rules.need_key and pseudonyms is None:
            raise ValueError("rules that make pseudonyms need a key")
        self._rules: Final = rules
        self._pseudonyms: Final = pseudonyms

    def edits(self, text: str) -> Sequence[Edit]:
        """The replacements of one text, in order, not overlapping."""
        found: list[Edit] = []
        if self._rules.paths and ("{" in text or "[" in text):
            found += self._at_paths(text)
        for rule in self._rules.patterns:
            found += self._of_pattern(rule, text)
        return in_order(found)

    def _at_paths(self, text: str) -> Iterator[Edit]:
        for start, end, kind, rule in _values(text, self._rules.paths):
            value = text[start:end]
            if kind == "string":
                if rule.action == "drop":
                    # With its quotes; a torn string has one.
                    yield Edit(start - 1, end + (text[end : end + 1] == '"'), "null", rule.rule)
                elif (new := self._new(rule, value)) is not None:
                    yield Edit(start, end, new, rule.rule)
            elif value == "null":
                continue
            elif rule.action == "drop":
                yield Edit(start, end, "null", rule.rule)
            elif rule.action == "pseudonym" and kind == "number" and self._pseudonyms is not None:
                number = self._pseudonyms.number(rule.rule, value)
                if number is not None:
                    yield Edit(start, end, number, rule.rule)
            else:
                new = self._new(rule, value)
                if new is not None:
                    yield Edit(start, end, f'"{new}"', rule.rule)

    def _of_pattern(self, rule: PatternRule, text: str) -> Iterator[Edit]:
        group = 1 if rule.pattern.groups else 0
        marks = [found.span() for found in MARK.finditer(text)] if "[redacted" in text else []
        for found in rule.pattern.finditer(text):
            start, end = found.span(group)
            if start >= end or any(first < end and start < last for first, last in marks):
                continue
            new = "" if rule.action == "drop" else self._new(rule, found[group])
            if new is not None:
                yield Edit(start, end, new, rule.rule)

    def _new(self, rule: PathRule | PatternRule, value: str) -> str | None:
        """What stands in place of a value; None if that stands there already."""
        if rule.action == "pseudonym" and self._pseudonyms is not None:
            return self._pseudonyms.of(rule.rule, value)
        return None if not normal(value) or MARK.fullmatch(value) else mark(rule.rule)


class Together:
    """Two transforms of one text: where both replace the same, the first decides, else the wider
    one.
    """

    def __init__(self, first: Transform, second: Transform) -> None:
        self._first = first
        self._second = second

    def edits(self, text: str) -> Sequence[Edit]:
        """The replacements of one text, in order, not overlapping."""
        return in_order(self._first.edits(text), self._second.edits(text))


class _Frame:
    """An open container: the rules' steps that what is in it has taken, and how far it is."""

    __slots__ = ("hits", "index", "start", "states")

    def __init__(
        self, states: list[tuple[PathRule, int]], hits: list[PathRule], start: int, index: int
    ) -> None:
        self.states = states
        self.hits = hits
        self.start = start
        self.index = index


_ITEM: Final = re.compile(r"(?P<number>-?[0-9][0-9.eE+-]*+)|(?P<literal>true|false)")


def _values(text: str, rules: tuple[PathRule, ...]) -> Iterator[tuple[int, int, str, PathRule]]:
    """Start, end, kind and rule of each value that a path leads to; of a string what is in its
    quotes.

    Each JSON text of ``text`` begins at ``$``; so does what is left of a torn one.
    """
    start_states = [(rule, 0) for rule in rules]
    frames: list[_Frame] = []
    key: str | None = None
    after = 0
    for token in TOKEN.finditer(text):
        frame = frames[-1] if frames else None
        if frame is not None and frame.index >= 0:
            yield from _items(text, after, token.start(), frame)
        after = token.end()
        kind = token.lastgroup
        if kind == "bracket":
            if token[0] in "{[":
                states, hits = _entered(frame, key, start_states)
                index = 0 if token[0] == "[" else -1
                frames.append(_Frame(states, hits, token.start(), index))
            elif frames:
                closed = frames.pop()
                for rule in closed.hits:
                    yield closed.start, token.end(), "container", rule
            key = None
        elif kind == "colon":
            key = normal(token["text"])
        elif kind == "text":
            _, hits = _entered(frame, None, start_states)
            for rule in hits:
                yield *token.span("text"), "string", rule
        elif kind is not None:
            _, hits = _entered(frame, normal(token["text"]), start_states)
            for rule in hits:
                yield *token.span(kind), kind, rule


def _items(
    text: str, start: int, end: int, frame: _Frame
) -> Iterator[tuple[int, int, str, PathRule]]:
    """The numbers and literals of an array between two tokens; commas count its items."""
    at = start
    while at < end:
        comma = text.find(",", at, end)
        stop = end if comma < 0 else comma
        item = _ITEM.search(text, at, stop)
        if item is not None and item.lastgroup is not None:
            for rule in _step(frame.states, frame.index)[1]:
                yield item.start(), item.end(), item.lastgroup, rule
        if comma >= 0:
            frame.index += 1
        at = stop + 1


def _entered(
    frame: _Frame | None, key: str | None, start: list[tuple[PathRule, int]]
) -> tuple[list[tuple[PathRule, int]], list[PathRule]]:
    if frame is None:
        # A JSON text; what has a key, but no object around it, is torn off one.
        return (start, []) if key is None else _step(start, key)
    return _step(frame.states, frame.index if frame.index >= 0 else key)


def _step(
    states: list[tuple[PathRule, int]], key: str | int | None
) -> tuple[list[tuple[PathRule, int]], list[PathRule]]:
    """The rules' steps below a member or item of a container, and the rules that end there."""
    below: list[tuple[PathRule, int]] = []
    hits = []
    for rule, done in states:
        step = rule.steps[done]
        # Two ways to one state, as `$..a..b` has, must not become four.
        if step.deep and (rule, done) not in below:
            below.append((rule, done))
        if key is not None and (step.at is None or step.at == key):
            if done + 1 == len(rule.steps):
                hits.append(rule)
            elif (rule, done + 1) not in below:
                below.append((rule, done + 1))
    return below, hits
