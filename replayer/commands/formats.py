"""The formats of ``track-replayer show``: lines put into text."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from recorder.model import Sender, encode_bytes
from replayer.reading.lines import Line
from replayer.reading.words import fit, json_text, seconds, wrap

__all__ = ["FORMATS", "Render", "table_text", "text_line"]

Render = Callable[[list[Line]], str]
"""Lines to text that ends with a line end."""

_ARROWS: Final[dict[Sender | None, str]] = {"client": "->", "server": "<-", None: "--"}


def text_line(line: Line, columns: int, *, piped: bool = False) -> str:
    """The line as ``--format line`` prints it, at most so many columns wide.

    A note is whole: in several lines at a terminal, in one that may be wider where it is piped.
    """
    kinds = "+".join(line.kinds)
    size = "-" if line.size_bytes is None else str(line.size_bytes)
    connection = "-" if line.connection is None else line.connection
    opcode = "-" if line.opcode is None else line.opcode
    text = (
        f"{seconds(line.offset_ns):>9} {connection:>2} {_ARROWS[line.sender]} {opcode:<6} {kinds}"
        f" {size:>{max(1, 17 - len(kinds))}}  {line.summary}"
    )
    if line.kinds != ("note",):
        return fit(text, columns)
    # What somebody had to say, or the reason of what went wrong, often stands at its end.
    return text if piped else wrap(text, columns)


def _as_lines(columns: int) -> Render:
    piped = not sys.stdout.isatty()
    return lambda lines: "".join(
        [f"{text_line(line, columns, piped=piped)}\n" for line in lines],
    )


def _as_json(columns: int) -> Render:
    return lambda lines: "".join([f"{_json_line(line)}\n" for line in lines])


def _json_line(line: Line) -> str:
    shown: dict[str, object] = {
        "seq": line.seq,
        "time": None if line.offset_ns is None else line.offset_ns / 1e9,
        "connection": line.connection,
        "sender": line.sender,
        "opcode": line.opcode,
        "kinds": line.kinds,
        "size": line.size_bytes,
        "summary": line.summary,
    }
    if line.payload is not None:
        shown.update(encode_bytes(line.payload))
    return json_text(shown)


_COLUMNS: Final = (
    ("time", {"justify": "right", "width": 9}),
    ("", {"justify": "right", "width": 2}),
    ("", {"width": 2}),
    ("opcode", {"width": 6}),
    ("kind", {"width": 17, "overflow": "fold"}),
    ("size", {"justify": "right", "width": 6}),
    ("what", {"ratio": 1, "overflow": "fold"}),
)
"""They are fixed, so that tables of some lines each fit together."""


def _as_table(columns: int) -> Render:
    shows_head = True

    def render(lines: list[Line]) -> str:
        nonlocal shows_head
        rows = [
            (
                seconds(line.offset_ns),
                "-" if line.connection is None else str(line.connection),
                _ARROWS[line.sender],
                "-" if line.opcode is None else str(line.opcode),
                "+".join(line.kinds),
                "-" if line.size_bytes is None else str(line.size_bytes),
                line.summary,
            )
            for line in lines
        ]
        text = table_text(_COLUMNS, rows, columns, show_header=shows_head)
        shows_head = False
        return text

    return render


def table_text(
    table_columns: Sequence[tuple[str, Mapping[str, object]]],
    rows: Sequence[Sequence[str]],
    columns: int,
    *,
    show_header: bool = True,
) -> str:
    """A table as wide as so many columns; its own columns are headings with what
    :meth:`rich.table.Table.add_column` takes.
    """
    # Imported here, for they cost the other formats nothing that way.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=show_header, padding=(0, 1, 0, 0), expand=True)
    for heading, layout in table_columns:
        table.add_column(heading, **layout)  # type: ignore[arg-type]
    for row in rows:
        # As Text, for a name may hold what rich takes for markup.
        table.add_row(*map(Text, row))
    console = Console(file=sys.stdout, width=columns, highlight=False)
    # Not printed by rich, which takes a reader that had enough (`| head`) for a failure.
    with console.capture() as capture:
        console.print(table)
    return "".join(f"{row.rstrip()}\n" for row in capture.get().splitlines())


FORMATS: Final[dict[str, Callable[[int], Render]]] = {
    "line": _as_lines,
    "table": _as_table,
    "jsonl": _as_json,
}
"""What each format makes of lines, given so many columns."""
