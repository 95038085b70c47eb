"""Every real capture goes through every command of the replayer: each answers, or says why it
cannot, in words and with a code; none ends in a traceback."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest

from recorder.cli import cli as recorder_cli
from recorder.console import run_command
from recorder.exits import Exit
from recorder.recording import Reader
from replayer.cli import cli

FIXTURES = Path(__file__).parents[2] / "fixtures"
CAPTURES = [
    "curl-capture.bin",
    "manual-excerpt.txt",
    "browser.har",
    "har/chrome-devtools.har",
    "har/firefox.har",
    "har/mitmproxy.har",
]
ANSWERS = (Exit.OK, Exit.DIFFERENT, Exit.UNDECIDED)
NOT_HELD = (Exit.USAGE, Exit.BAD_DATA)
"""The recording does not hold what was asked for, and that is said."""

QUESTIONS = {
    "show": "show {rec}",
    "show table": "show {rec} --format table",
    "show jsonl": "show {rec} --format jsonl --all",
    "show device": "show {rec} --kind devices --sender server",
    "show path": "show {rec} --path $.devices[*].name",
    "show at": "show {rec} --at end",
    "info": "info {rec}",
    "info json": "info {rec} --json",
    "rssi": "rssi {rec}",
    "battery": "battery {rec}",
    "track": "track {rec}",
    "rate": "rate {rec}",
    "pings": "pings {rec}",
    "conform": "conform {rec}",
    "conform json": "conform {rec} --json",
    "diff": "diff {rec} {rec}",
    "infer": "contract infer {rec} -o {out}.json",
    "check": "contract check {rec} {contract}",
    "check json": "contract check {rec} {contract} --json",
    "schema": "contract export {contract} --to json-schema",
    "asyncapi": "contract export {contract} --to asyncapi",
    "openapi": "contract export {contract} --to openapi",
    "cut": "edit cut {rec} --from 0 --to 1 -o {out}.track.jsonl",
    "filter": "edit filter {rec} --kind devices -o {out}.track.jsonl",
    "merge": "edit merge {rec} -o {out}.track.jsonl",
    "rebase": "edit rebase {rec} --to 2026-11-23T00:00:00Z -o {out}.track.jsonl",
    "speed": "edit speed {rec} 2 -o {out}.track.jsonl",
    "annotate": "edit annotate {rec} --at 0 --note here -o {out}.track.jsonl",
    "export har": "export {rec} --to har -o {out}.har",
    "export csv": "export {rec} --to csv --table positions -o {out}.csv",
    "export geojson": "export {rec} --to geojson -o {out}.geojson",
    "export gpx": "export {rec} --to gpx -o {out}.gpx",
    "export parquet": "export {rec} --to parquet --table positions -o {out}.parquet",
    "export wire": "export {rec} --to wire --sender server -o {out}.bin",
    "scan": "scan {rec} --check conform --jobs 1",
}


def run(command: object, *words: str) -> int:
    """Run a command line in this process; its code."""
    before = sys.argv
    sys.argv = ["command", *words]
    try:
        run_command(command)  # type: ignore[arg-type]
    except SystemExit as done:
        return int(done.code or 0)
    finally:
        sys.argv = before


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("captures")


@pytest.fixture(params=CAPTURES)
def recording(request: pytest.FixtureRequest, folder: Path) -> Path:
    name = request.param.replace("/", "-")
    path = folder / f"{name}.track.jsonl"
    if not path.exists():
        assert run(recorder_cli, "import", str(FIXTURES / request.param), "-o", str(path)) == 0
    return path


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_real_capture_is_answered_about(
    recording: Path, question: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    contract = folder / f"{recording.name}.contract.json"
    line = QUESTIONS[question]
    if "{contract}" in line and not contract.exists():
        assert run(cli, "contract", "infer", str(recording), "-o", str(contract)) == 0
    out = folder / f"{recording.name}-{question.replace(' ', '-')}"
    words = [word.format(rec=recording, out=out, contract=contract) for word in line.split()]
    capfd.readouterr()
    code = run(cli, *words)
    said = capfd.readouterr()
    shown = f"{' '.join(words)}: {code}\n{said.out}\n{said.err}"
    assert "Traceback" not in said.err, shown
    assert code in ANSWERS + NOT_HELD, shown
    if code in NOT_HELD:
        assert said.err.strip(), shown
        return
    made = list(folder.glob(f"{out.name}.*"))
    if "-o" in words:
        assert made, shown
    elif words[0] != "show":
        # There may be nothing to show.
        assert said.out.strip(), shown
    if words[-1] == "--json" or words[0:2] == ["contract", "export"]:
        msgspec.json.decode(said.out)
    if words[0] == "edit":
        with Reader(made[0]) as reader:
            for _ in reader:
                pass
            assert reader.complete, shown
    if question == "diff":
        assert code == Exit.OK, shown
    if question.startswith("check"):
        # It is what it was learnt from; some hold too little to tell.
        assert code != Exit.DIFFERENT, shown
