"""Every real capture goes through every command of the replayer: each answers, or says why it
cannot, in words and with a code; none ends in a traceback."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest

from recorder.cli import cli as recorder_cli
from recorder.console import run_command
from recorder.exits import Exit
from recorder.model import AnyEntry
from recorder.recording import Reader
from replayer.cli import cli
from replayer.reading.conversation import DataMessage, converse
from tests.processes import clean_environment
from tests.programs import BIN, require

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


def test_a_real_capture_is_verified_live(recording: Path, folder: Path) -> None:
    require("curl")
    contract = folder / f"{recording.name}.contract.json"
    if not contract.exists():
        assert run(cli, "contract", "infer", str(recording), "-o", str(contract)) == 0
    ask = f'"{BIN}/track-replayer" verify --url "$TRACK_URL" --for 2s --messages 3 "{contract}"'
    asked = played(recording, ask)
    # Three messages are too few to tell much; what is told is no drift.
    assert asked.returncode in (Exit.OK, Exit.UNDECIDED), asked.stdout + asked.stderr
    assert asked.stdout.split(":")[0] in ("same", "undecided")


EARS = """
jar=$(mktemp -d)
form="email=$TRACK_EMAIL&password=$TRACK_PASSWORD"
curl -s -o $jar/user -c $jar/cookies -d "$form" $TRACK_URL/api/session
curl -s -N -m 5 -b $jar/cookies -o $jar/heard -H 'Connection: Upgrade' -H 'Upgrade: websocket' \\
  -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' \\
  $TRACK_URL/api/socket
grep -aq positions $jar/heard; heard=$?
rm -r $jar
test $heard -ne 0
"""
"""A client that fails when it hears of positions."""


@pytest.mark.nightly
def test_a_real_capture_is_minimised(recording: Path, folder: Path) -> None:
    require("curl")
    ears = folder / "ears.sh"
    ears.write_text(EARS)
    out = folder / f"{recording.name}.least.track.jsonl"
    code = run(cli, "minimise", str(recording), "--test", f"sh {ears}", "--force", "-o", str(out))
    with Reader(recording) as reader:
        holds_positions = any(b"positions" in one.payload for one in said_in(reader))
    if not holds_positions:
        # It does not make the client fail, and that is the answer.
        assert code == Exit.DIFFERENT
        return
    assert code == Exit.OK
    with Reader(out) as reader:
        (said,) = said_in(reader)
    assert b"positions" in said.payload


def said_in(entries: Iterable[AnyEntry]) -> list[DataMessage]:
    return [item for item in converse(entries) if isinstance(item, DataMessage)]


def played(recording: Path, command: str) -> subprocess.CompletedProcess[str]:
    """What a shell command says of the fake that plays the recording."""
    return subprocess.run(
        [f"{BIN}/track-fake-server", "run", str(recording), "--", "sh", "-c", command],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
