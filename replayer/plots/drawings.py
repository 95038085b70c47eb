"""What stands on each picture: rssi, batteries, paths, rates, round trips.

Each function gives what :func:`replayer.plots.canvas.draw` takes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from replayer.measurements.rate import RateRow
from replayer.measurements.track import EARTH_RADIUS_M
from replayer.plots.canvas import (
    COLOURS,
    NAME_CHARACTERS,
    OTHERS,
    legend,
    plain,
    short,
    time_axis,
)
from replayer.plots.points import Clock, Line, Points
from replayer.reading.pings import PingRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["batteries", "paths", "rates", "round_trips", "rssi"]

_MARKERS: Final = "osD^vP*."
_MANY_POINTS: Final = 1500
"""More points than that are drawn as a line alone: markers would hide it, and make a large SVG."""

_TITLE_CHARACTERS: Final = 80

_LOGARITHMIC_FROM: Final = 100.0
"""So many times the shortest round trip the longest is, for the axis to be logarithmic."""

_Build = Callable[["Figure"], None]


def rssi(points: Points, clock: Clock, title: str, *, joined: bool) -> _Build:
    """dBm over time, by name. ``joined`` draws lines from point to point, for what one device
    heard; of several they would go from one to the other."""

    def build(figure: Figure) -> None:
        style: dict[str, Any] = {"linewidth": 1.2} if joined else {"linestyle": "none"}
        _over_time(figure, points, clock, title, "rssi in dBm", markers=True, **style)

    return build


def batteries(points: Points, clock: Clock, title: str) -> _Build:
    """Levels over time, each held until the next."""

    def build(figure: Figure) -> None:
        style: dict[str, Any] = {"linewidth": 1.5, "drawstyle": "steps-post"}
        axes = _over_time(
            figure, points, clock, title, "battery level in %", markers=False, **style
        )
        # Down to a round number, so that a full battery's first percents can be seen to go.
        low, high = axes.dataLim.intervaly
        axes.set_ylim(min(math.floor(low / 10 - 0.5) * 10, 90), max(102, high))

    return build


def _over_time(
    figure: Figure,
    points: Points,
    clock: Clock,
    title: str,
    y_label: str,
    *,
    markers: bool,
    **style: Any,
) -> Axes:
    axes = _axes(figure, title)
    lines = points.on(clock)
    every_x = [at for one in lines for at in one.xs]
    place = time_axis(axes, clock.axis, min(every_x, default=0.0), max(every_x, default=0.0))
    axes.set_ylabel(y_label)
    handles, names = [], []
    for number, (name, xs, ys) in enumerate(_named(lines)):
        alone = style.get("linestyle") == "none"
        # A single point is no line.
        marked = alone or len(xs) == 1 or (markers and len(xs) <= _MANY_POINTS)
        (line,) = axes.plot(
            [place(at) for at in xs],
            ys,
            color=COLOURS[number] if number < len(COLOURS) else OTHERS,
            marker=_MARKERS[min(number, len(_MARKERS) - 1)] if marked else "",
            markersize=4,
            **style,
        )
        if number <= len(COLOURS):
            handles.append(line)
            others = len(lines) - len(COLOURS)
            names.append(name if number < len(COLOURS) else f"{others} more")
    legend(axes, handles, names)
    return axes


def paths(places: Sequence[Line], title: str) -> _Build:
    """The ways of devices, on a plain grid of metres: latitudes as ``xs`` and longitudes as ``ys``,
    in degrees."""

    def build(figure: Figure) -> None:
        axes = _axes(figure, title)
        axes.set_aspect("equal", adjustable="datalim")
        axes.set_xlabel("metres east of the first position")
        axes.set_ylabel("metres north of it")
        origin = (places[0].xs[0], places[0].ys[0])
        start: dict[str, Any] = {
            "marker": "o",
            "linestyle": "none",
            "markersize": 11,
            "markeredgewidth": 1.5,
            # Empty, so that an end in the same place is seen within.
            "markerfacecolor": "none",
        }
        end: dict[str, Any] = {"marker": "s", "linestyle": "none", "markersize": 6}
        handles, names = [], []
        for number, (name, norths, easts) in enumerate(_named(places)):
            xs, ys = _plane(origin, norths, easts)
            colour = COLOURS[number] if number < len(COLOURS) else OTHERS
            few = len(xs) <= _MANY_POINTS
            (line,) = axes.plot(
                xs, ys, color=colour, linewidth=1.2, marker="." if few else "", markersize=4
            )
            for at, marker in ((0, start), (-1, end)):
                axes.plot([xs[at]], [ys[at]], **(marker | {"color": colour}), zorder=3)
            if number <= len(COLOURS):
                handles.append(line)
                others = len(places) - len(COLOURS)
                names.append(name if number < len(COLOURS) else f"{others} more")
        marks = [axes.plot([], [], color=COLOURS[-1], **one)[0] for one in (start, end)]
        legend(axes, [*handles, *marks], [*names, "start", "end"])
        # A device that did not move would stand on a grid of micrometres.
        for low, high, limit in (
            (*axes.get_xlim(), axes.set_xlim),
            (*axes.get_ylim(), axes.set_ylim),
        ):
            if high - low < 10:
                limit((low + high) / 2 - 5, (low + high) / 2 + 5)

    return build


def _plane(
    origin: tuple[float, float], norths: Sequence[float], easts: Sequence[float]
) -> tuple[list[float], list[float]]:
    """Degrees as metres from the origin, on the plane that touches the sphere there: exact enough
    for the way of a person or a car. The short way round the earth is taken."""
    metres = math.radians(1) * EARTH_RADIUS_M
    shrunk = metres * math.cos(math.radians(origin[0]))
    return (
        [((east - origin[1] + 180) % 360 - 180) * shrunk for east in easts],
        [(north - origin[0]) * metres for north in norths],
    )


def rates(rows: Sequence[RateRow], clock: Clock, title: str) -> _Build:
    """Messages a second, the kinds above each other."""

    def build(figure: Figure) -> None:
        axes = _axes(figure, title)
        edges = [clock.at(row.from_ns) for row in rows]
        edges.append(clock.at(rows[-1].from_ns + rows[-1].length_ns))
        place = time_axis(axes, clock.axis, edges[0], edges[-1])
        totals: dict[str, int] = {}
        for row in rows:
            for kind, count in row.counts.items():
                totals[kind] = totals.get(kind, 0) + count
        kinds = sorted(totals, key=lambda kind: -totals[kind])
        floor = [0.0] * len(rows)
        handles, names = [], []
        named = len(COLOURS) if len(kinds) > len(COLOURS) else len(kinds)
        groups = [[kind] for kind in kinds[:named]] + ([kinds[named:]] if kinds[named:] else [])
        for number, group in enumerate(groups):
            top = [
                below + sum(row.counts.get(kind, 0) for kind in group) * 1e9 / row.length_ns
                for below, row in zip(floor, rows, strict=True)
            ]
            handles.append(
                axes.stairs(
                    top,
                    [place(edge) for edge in edges],
                    baseline=floor,
                    fill=True,
                    color=COLOURS[number] if number < named else OTHERS,
                )
            )
            names.append(short(group[0]) if number < named else f"{len(group)} more kinds")
            floor = top
        axes.set_ylim(0, (max(floor) or 1.0) * 1.05)
        axes.set_ylabel(f"messages a second, mean of {_length(rows[0].length_ns)}")
        legend(axes, handles, names)

    return build


def _length(length_ns: int) -> str:
    for size_ns, unit in ((3600 * 10**9, "h"), (60 * 10**9, "min"), (10**9, "s")):
        if length_ns >= size_ns and length_ns % size_ns == 0:
            return f"{length_ns // size_ns} {unit}"
    return f"{length_ns / 1e6:g} ms"


def round_trips(rows: Sequence[PingRow], clock: Clock, title: str) -> _Build:
    """Milliseconds from PING to pong, dots; what was not answered stands on the lower edge."""

    def build(figure: Figure) -> None:
        axes = _axes(figure, title)
        timed = [row for row in rows if row.sent_ns is not None]
        sent = [clock.at(row.sent_ns or 0) for row in timed]
        place = time_axis(axes, clock.axis, min(sent, default=0.0), max(sent, default=0.0))
        axes.set_ylabel("round trip in ms")
        trips_ms = [row.round_trip_ns / 1e6 for row in timed if row.round_trip_ns is not None]
        low, high = min(trips_ms, default=0.0), max(trips_ms, default=1.0)
        logarithmic = 0 < low * _LOGARITHMIC_FROM < high
        if logarithmic:
            axes.set_yscale("log")
        floor = low / 2 if logarithmic else 0.0
        handles, names = [], []
        for verdict, colour, marker in (
            ("answered", COLOURS[0], "o"),
            ("late", COLOURS[5], "^"),
            ("unanswered", COLOURS[1], "x"),
            ("undecided", COLOURS[6], "+"),
        ):
            chosen = [row for row in timed if row.verdict == verdict]
            if chosen:
                (dots,) = axes.plot(
                    [place(clock.at(row.sent_ns or 0)) for row in chosen],
                    [
                        floor if row.round_trip_ns is None else row.round_trip_ns / 1e6
                        for row in chosen
                    ],
                    marker,
                    color=colour,
                    markersize=7 if marker in "x+" else 5,
                    markeredgewidth=2 if marker in "x+" else 1,
                    clip_on=False,
                )
                handles.append(dots)
                names.append(f"{len(chosen)} {verdict}")
        if not logarithmic:
            axes.set_ylim(0, high * 1.08)
        legend(axes, handles, names)

    return build


def _axes(figure: Figure, title: str) -> Axes:
    axes: Axes = figure.add_subplot()
    plain(axes.set_title(short(title, _TITLE_CHARACTERS)))
    return axes


def _named(lines: Sequence[Line]) -> list[tuple[str, Sequence[float], Sequence[float]]]:
    """The series by names that tell them apart, those with most points first where there are more
    than colours."""
    if len(lines) > len(COLOURS):
        lines = sorted(lines, key=lambda one: -len(one.xs))
    shown = [short(one.name) + one.suffix for one in lines]
    often = Counter(shown)
    return [
        (name if often[name] == 1 else _with_id(one), one.xs, one.ys)
        for name, one in zip(shown, lines, strict=True)
    ]


def _with_id(line: Line) -> str:
    tail = f" ({short(line.id, NAME_CHARACTERS // 2)})"
    return short(line.name, NAME_CHARACTERS - len(tail)) + tail + line.suffix
