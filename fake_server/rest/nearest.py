"""What a request that nobody knows comes nearest to, and the difference in words. Pure."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from fake_server.rest.routes import Route
from recorder.redaction import Redactor
from replayer.playing.answers import ExchangeKey, exchange_key
from replayer.reading.words import printable

__all__ = ["nearest"]

_NOTHING_NEAR: Final = "a call that this server computes or that the recording holds"

_ALIKE: Final = 0.6
"""Below this ratio of :mod:`difflib` a path is another path, not a slip of the pen."""

_MOST_PATHS: Final = 200
"""So many paths are looked at for one that is alike; comparing them takes long."""

_MOST_DIFFERENCES: Final = 5
_SHOWN: Final = 200
_VALUE_SHOWN: Final = 40


class _Known(msgspec.Struct, frozen=True):
    """A call that is known. Of a route, whose ``is_recorded`` is false, the query is not compared:
    it has rules of its own.
    """

    key: ExchangeKey
    is_recorded: bool


def nearest(
    method: str, target: str, recorded: Iterable[ExchangeKey], routes: Iterable[Route]
) -> str:
    """What was expected in the place of a request: the nearest of what is recorded and of what is
    computed, and what differs; if nothing is near, a phrase that says so in general.

    Secrets are masked, long targets cut. Raises nothing.
    """
    asked = exchange_key(method, target)
    known = [_Known(key, True) for key in recorded]
    known += [_Known((route.method, _filled(route.path, asked[1]), ()), False) for route in routes]
    path = _nearest_path(asked[1], known)
    if path is None:
        return _NOTHING_NEAR
    best = min((one for one in known if one.key[1] == path), key=lambda one: _distance(asked, one))
    words = _Words()
    how = "which is recorded" if best.is_recorded else "which this server computes"
    differences = words.differences(asked, best)
    told = ", ".join(differences[:_MOST_DIFFERENCES])
    if len(differences) > _MOST_DIFFERENCES:
        told += f", and {len(differences) - _MOST_DIFFERENCES} differences more"
    # Recorded, and yet not given: there are objects in it that are hidden.
    told = told or "this account may not see it"
    return printable(f"{words.call(best.key)}, {how}; {told}")


def _filled(path: str, asked: str) -> str:
    """A route's path with the id that was asked for."""
    if not path.endswith("{id}"):
        return path
    last = asked.rpartition("/")[2]
    return path.removesuffix("{id}") + (last if last.isdigit() else "{id}")


def _nearest_path(asked: str, known: list[_Known]) -> str | None:
    paths = dict.fromkeys(one.key[1] for one in known)
    if asked in paths:
        return asked
    cut = [path for path in paths if len(path) <= _SHOWN][:_MOST_PATHS]
    near = difflib.get_close_matches(asked[:_SHOWN], cut, n=1, cutoff=_ALIKE)
    return near[0] if near else None


def _distance(asked: ExchangeKey, known: _Known) -> tuple[bool, bool, int, int]:
    """Another method is further than any query; of queries the one that shares most names and
    values is nearest.
    """
    other_names = values = 0
    if known.is_recorded:
        mine, theirs = Counter(asked[2]), Counter(known.key[2])
        values = ((mine - theirs) + (theirs - mine)).total()
        names, their_names = _names(asked), _names(known.key)
        other_names = ((names - their_names) + (their_names - names)).total()
    return asked[0] != known.key[0], not known.is_recorded, other_names, values


def _names(key: ExchangeKey) -> Counter[str]:
    return Counter(name for name, _ in key[2])


class _Words:
    """Words without secrets: of those of one request equal ones are masked alike."""

    def __init__(self) -> None:
        self._redactor = Redactor("secrets")

    def call(self, key: ExchangeKey) -> str:
        """``GET /api/reports/route?deviceId=1``."""
        method, path, query = key
        mark = "?" if query else ""
        return _cut(f"{method} {self._redactor.url(f'{path}{mark}{urlencode(query)}')}", _SHOWN)

    def differences(self, asked: ExchangeKey, known: _Known) -> list[str]:
        """What is to change in ``asked`` for it to be the other."""
        was = "was recorded" if known.is_recorded else "is expected"
        found = []
        if asked[0] != known.key[0]:
            found.append(f"the method is {_cut(asked[0], 20)} where {known.key[0]} {was}")
        found += self._of_paths(asked[1], known.key[1], was)
        if known.is_recorded:
            found += self._of_queries(asked[2], known.key[2], was)
        return found

    def _of_paths(self, asked: str, known: str, was: str) -> list[str]:
        if asked == known:
            return []
        mine = self._redactor.url(asked).split("/")
        theirs = self._redactor.url(known).split("/")
        found = []
        matcher = difflib.SequenceMatcher(None, mine[:_VALUE_SHOWN], theirs[:_VALUE_SHOWN], False)
        for tag, start, end, their_start, their_end in matcher.get_opcodes():
            more = _shown("/".join(mine[start:end]))
            less = _shown("/".join(theirs[their_start:their_end]))
            if tag == "replace":
                found.append(f"the path has {more} where {less} {was}")
            elif tag == "delete":
                found.append(f"the path has {more} too")
            elif tag == "insert":
                found.append(f"the path lacks {less}")
        return found or ["the path differs further on"]

    def _of_queries(
        self, asked: tuple[tuple[str, str], ...], known: tuple[tuple[str, str], ...], was: str
    ) -> list[str]:
        found = []
        for name in dict.fromkeys(name for name, _ in (*known, *asked)):
            mine = Counter(value for each, value in asked if each == name)
            theirs = Counter(value for each, value in known if each == name)
            if mine == theirs:
                continue
            shown = _cut(name, _VALUE_SHOWN) if name.isidentifier() else _shown(name)
            more, less = self._values(name, mine - theirs), self._values(name, theirs - mine)
            if not more:
                found.append(f"the query lacks {shown} {less}")
            elif not less:
                found.append(f"the query has {shown} {more} too")
            elif more == less:
                found.append(f"the query has another {shown}, which is masked")
            else:
                found.append(f"the query has {shown} {more} where {less} {was}")
        return found

    def _values(self, name: str, values: Counter[str]) -> str:
        """Values of one parameter, as it is them that make a secret of some."""
        shown = []
        for value in values.elements():
            query = urlsplit(self._redactor.url("/?" + urlencode([(name, value)]))).query
            shown += [_shown(each) for _, each in parse_qsl(query, keep_blank_values=True)]
        return " and ".join(shown)


def _shown(text: str) -> str:
    return repr(_cut(text, _VALUE_SHOWN))


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else text[:size] + "…"
