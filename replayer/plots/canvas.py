"""A picture of 800 by 500 points: made by matplotlib, written as PNG or SVG.

The same figure gives the same bytes, whatever the user's settings of matplotlib are: no date, no
random ids. Texts stay texts in an SVG.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal, TypeAlias, cast

from replayer.plots.points import Axis
from replayer.reading.words import printable

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

__all__ = [
    "COLOURS",
    "NAME_CHARACTERS",
    "OTHERS",
    "Form",
    "draw",
    "form_of",
    "legend",
    "plain",
    "short",
    "time_axis",
]

Form: TypeAlias = Literal["png", "svg"]

COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#4D4D4D")
"""Okabe and Ito's colours, told apart by all kinds of colour vision, without the yellow, which does
not show on white."""

OTHERS: Final = "#B8B8B8"
"""The colour of what is too much to be named."""

_SETTINGS: Final[dict[Any, Any]] = {
    "svg.hashsalt": "tracktape",
    "svg.fonttype": "none",
    "font.size": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.35,
    "axes.axisbelow": True,
    "axes.titlesize": 11.5,
    "axes.titlelocation": "left",
}
NAME_CHARACTERS: Final = 32
"""A longer name is cut, so that a legend leaves room for what it explains."""

_MINUTE_S: Final = 60.0
_HOUR_S: Final = 3600.0
_DAY_S: Final = 86_400.0


def form_of(name: str) -> Form | None:
    """What a file of that name holds; None if its suffix is neither ``.png`` nor ``.svg``."""
    suffix = PurePath(name).suffix.lower().removeprefix(".")
    return cast("Form", suffix) if suffix in ("png", "svg") else None


def draw(build: Callable[[Figure], None], file: BinaryIO, form: Form) -> None:
    """Write the picture that ``build`` draws on an empty figure. The caller closes the file. Raises
    ImportError without matplotlib, and OSError of the file."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    metadata = {"Date": None, "Creator": "tracktape"} if form == "svg" else {"Software": None}
    with matplotlib.rc_context(), warnings.catch_warnings():
        # A name in a script that the font lacks is shown as boxes, and that is all.
        warnings.filterwarnings("ignore", message="Glyph ", category=UserWarning)
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        figure = Figure(figsize=(8, 5), dpi=100, layout="constrained")
        FigureCanvasAgg(figure)
        build(figure)
        figure.savefig(file, format=form, metadata=metadata)


def plain(text: Text) -> Text:
    """The text as it is: a ``$`` in it is no formula."""
    text.set_parse_math(False)
    return text


def legend(axes: Axes, handles: Sequence[Artist], names: Sequence[str]) -> None:
    """A legend beside the axes, of printable names."""
    # A label that begins with "_" would be left out, so that the names come afterwards.
    made = axes.legend(
        handles,
        [f"series {number}" for number, _ in enumerate(names)],
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        frameon=False,
        fontsize=9,
        borderaxespad=0.0,
    )
    for text, name in zip(made.get_texts(), names, strict=True):
        plain(text).set_text(name)


def short(name: str, characters: int = NAME_CHARACTERS) -> str:
    """A name on one line of a picture, of printable characters, cut where it is longer."""
    shown = printable(name)
    return shown if len(shown) <= characters else shown[: characters - 1] + "…"


def time_axis(axes: Axes, axis: Axis, begin: float, end: float) -> Callable[[float], float]:
    """Make the horizontal axis one of time; gives where a moment stands on it, seconds as
    :class:`~replayer.plots.points.Clock` counts them."""
    if axis == "number":
        axes.set_xlabel("number, as the recording has no times")
        return lambda at: at
    if axis == "offset":
        unit_s, unit = _unit(end - begin if begin else end)
        axes.set_xlabel(f"{unit} since the start of the recording")
        return lambda at: at / unit_s
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(tz="UTC")  # type: ignore[no-untyped-call]
    formatter = ConciseDateFormatter(locator, tz="UTC")  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(formatter)
    said = "wall clock of the recorder" if axis == "wall" else "time that the objects tell"
    axes.set_xlabel(f"{said}, UTC")
    return lambda at: at / _DAY_S


def _unit(length_s: float) -> tuple[float, str]:
    if not math.isfinite(length_s) or length_s < 3 * _MINUTE_S:
        return 1.0, "seconds"
    if length_s < 3 * _HOUR_S:
        return _MINUTE_S, "minutes"
    return (_HOUR_S, "hours") if length_s < 4 * _DAY_S else (_DAY_S, "days")
