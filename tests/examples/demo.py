"""The main job, end to end, with the commands that a user has. `make demo` runs it.

A raw capture that curl made becomes a recording; the fake server replays it behind login, cookie
and ping/pong; the recorder logs in to it as to a real backend and records it again; the two
recordings hold the same server messages, PINGs aside.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from recorder.exits import Exit
from recorder.recording import Reader
from replayer.difference import first_difference
from replayer.reading.conversation import DataMessage, converse

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
CAPTURE = "fixtures/curl-capture.bin"
PING_INTERVAL_S = "1"
DURATION_S = "3.5"

console = Console(highlight=False, width=min(80, Console().width))


def main() -> int:
    """Run the demo; 0 if the recordings hold the same messages."""
    with tempfile.TemporaryDirectory(prefix="tracktape-demo-") as name:
        folder = Path(name)
        imported, again = folder / "imported.track.jsonl", folder / "again.track.jsonl"
        user_file = folder / "userdata"
        user_file.write_text("EMAIL=demo@example.com\nPASSWORD=demo\n")

        step(1, "import what curl printed")
        run("track-recorder", "import", CAPTURE, "-o", imported)
        step(2, "serve it behind login, cookie and ping/pong, and record it as a client")
        with served(imported) as url:
            credentials = ["--user-file", user_file]
            run(
                *["track-recorder", "capture", "--url", url, *credentials],
                *["--duration", DURATION_S, "-o", again],
            )
        step(3, "compare what the server said in both, PINGs aside")
        return compare(imported, again)


def step(number: int, title: str) -> None:
    console.print(f"\n[bold]{number}. {title}[/bold]")


def shown(arguments: tuple[object, ...]) -> str:
    words = [word.name if isinstance(word, Path) else str(word) for word in arguments]
    return " ".join(words)


def run(*arguments: object) -> None:
    """Run one of the commands and show it with what it says; end the demo if it fails."""
    console.print(f"  [green]$ {shown(arguments)}[/green]", soft_wrap=True)
    command = [str(BIN / str(arguments[0])), *map(str, arguments[1:])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    for line in (done.stdout + done.stderr).splitlines():
        console.print(Padding(Text(tidy(line)), (0, 0, 0, 2)))
    if done.returncode:
        raise SystemExit(done.returncode)


def tidy(line: str) -> str:
    """Without the temporary folder's name."""
    words = line.split(" ")
    return " ".join(Path(word).name if "tracktape-demo-" in word else word for word in words)


@contextmanager
def served(recording: Path) -> Iterator[str]:
    """The fake server on a free port; gives its URL."""
    arguments = ("track-fake-server", "serve", recording, "--port", "0")
    arguments += ("--ping-interval", PING_INTERVAL_S)
    console.print(f"  [green]$ {shown(arguments)} &[/green]", soft_wrap=True)
    command = [str(BIN / arguments[0]), *map(str, arguments[1:])]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        if not url:
            raise SystemExit(f"the fake server did not start: {process.communicate()[1]}")
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    for line in said.splitlines():
        console.print(Padding(Text(tidy(line)), (0, 0, 0, 2)))


def compare(imported: Path, again: Path) -> int:
    """Show what each recording holds, and whether it is the same."""
    table = Table("server messages", "imported from curl", "recorded again", box=box.SIMPLE)
    left, right = kinds_in(imported), kinds_in(again)
    for kind in sorted(left | right):
        table.add_row(kind, str(left[kind]), str(right[kind]))
    console.print(table)
    with Reader(imported) as one, Reader(again) as other:
        difference = first_difference(one, other)
    if difference is None:
        console.print("[bold green]identical[/bold green]")
        return Exit.OK
    console.print(f"different: {difference}", style="bold red", markup=False)
    return Exit.DIFFERENT


def kinds_in(recording: Path) -> Counter[str]:
    """How many server messages of each kind."""
    with Reader(recording) as reader:
        return Counter(
            kind
            for item in converse(reader)
            if isinstance(item, DataMessage) and item.sender == "server"
            for kind in item.kinds
        )


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
