"""`make demo` is what a newcomer sees first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.examples import demo
from tests.processes import clean_environment, run


def test_the_demo_ends_with_identical() -> None:
    done = subprocess.run(
        [sys.executable, str(Path(demo.__file__))],
        env=clean_environment(COLUMNS="80"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("identical\n")
    assert "no violations" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 120


def test_the_comparison_ends_otherwise_where_a_message_differs(tmp_path: Path) -> None:
    raw = (demo.ROOT / demo.CAPTURE).read_bytes()
    changed = tmp_path / "changed.bin"
    changed.write_bytes(raw.replace(b'"batteryLevel":100.0', b'"batteryLevel":100.5', 1))
    for source, name in ((demo.ROOT / demo.CAPTURE, "a"), (changed, "b")):
        run("track-recorder", "import", source, "-o", tmp_path / f"{name}.track.jsonl")
    same = demo.compare(tmp_path / "a.track.jsonl", tmp_path / "a.track.jsonl")
    other = demo.compare(tmp_path / "a.track.jsonl", tmp_path / "b.track.jsonl")
    assert (same, other) == (0, 1)
