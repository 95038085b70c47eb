"""`track-replayer verify` against a real fake server: verdicts, exit codes, what is kept."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import httpx
import pytest
from click.testing import CliRunner

from fake_server.accounts import DEMO_ACCOUNT
from recorder.errors import (
    ConnectionLost,
    HandshakeRefused,
    LoginRefused,
    OutputExists,
    RecorderError,
    Unreachable,
)
from recorder.exits import Exit
from recorder.importers import import_file
from recorder.model import FrameEntry, Request
from recorder.recording import Reader
from recorder.track.kinds import parse_pong
from recorder.wire.frames import Opcode
from replayer.commands.verify import verify_command
from replayer.contract.learning import Learner
from replayer.contract.model import Answer, Call, Contract, Shape, encode_contract
from tests.processes import fake_server, run
from tests.recorder.scripted import EMAIL, PASSWORD, assert_no_secret

CURL = Path(__file__).parents[3] / "fixtures" / "curl-capture.bin"
ACCOUNT = {"TRACK_EMAIL": DEMO_ACCOUNT.email, "TRACK_PASSWORD": DEMO_ACCOUNT.password}
MESSAGES = 14
"""So many the curl capture has, PINGs aside."""

A_LIST = Call(seen=1, answers={"200": Answer(seen=1, shape=Shape(seen=1, types={"array": 1}))})
ONLY_LISTS = Contract(
    tool="a test", calls={f"GET /api/{name}": A_LIST for name in ("devices", "positions")}
)


class Ran(NamedTuple):
    code: int
    out: str
    err: str


def verify(*arguments: object, account: dict[str, str] = ACCOUNT) -> Ran:
    """Run the command in this process; raises what it raises."""
    given = ["--for", "3s", *map(str, arguments)]
    ran = CliRunner(env=account).invoke(verify_command, given, standalone_mode=False)
    if ran.exception is not None:
        raise ran.exception
    assert DEMO_ACCOUNT.password not in ran.output
    return Ran(ran.return_value, ran.stdout, ran.stderr)


def learn(contract: Path, *recordings: Path) -> Path:
    learner = Learner()
    for path in recordings:
        with Reader(path) as reader:
            learner.learn(reader.header, reader)
    contract.write_bytes(encode_contract(learner.contract("a test")))
    return contract


class Site(NamedTuple):
    """A fake that says one recording at once, and what it said when nothing was wrong."""

    url: str
    contract: Path

    @contextmanager
    def suffering(self, **fault: object) -> Iterator[None]:
        """With this fault, in the block."""
        added = httpx.post(f"{self.url}/__admin/faults", json=fault, trust_env=False)
        assert added.is_success, added.text
        try:
            yield
        finally:
            httpx.delete(f"{self.url}/__admin/faults", trust_env=False).raise_for_status()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with CURL.open("rb") as file:
        import_file(file, folder / "field.track.jsonl", name="curl")
    lists = folder / "lists.json"
    lists.write_bytes(encode_contract(ONLY_LISTS))
    with fake_server(folder / "field.track.jsonl", "--speed", "max") as url:
        made = folder / "visit.track.jsonl"
        verify(lists, "--url", url, "--messages", MESSAGES, "-o", made)
        yield Site(url, learn(folder / "contract.json", made))


# Verdicts


def test_a_backend_that_says_the_same_is_the_same(site: Site, tmp_path: Path) -> None:
    junit = tmp_path / "report.xml"
    ran = verify(*(site.contract, "--url", site.url, "--messages", MESSAGES, "--junit", junit))
    assert (ran.code, ran.err) == (Exit.OK, "")
    assert ran.out.startswith("same: ")
    assert not list(tmp_path.glob("*.track.jsonl"))
    suites = ElementTree.fromstring(junit.read_text())
    assert suites.get("failures") == "0"
    assert int(suites.get("tests") or 0) > 10


def test_a_field_of_another_type_is_drift_and_is_named(site: Site, tmp_path: Path) -> None:
    kept = tmp_path / "drift.track.jsonl"
    arguments = (site.contract, "--url", site.url, "--messages", MESSAGES)
    with site.suffering(fault="field-retyped", key="deviceId", kinds=["positions"]):
        ran = verify(*arguments)
        assert verify(*arguments, "-o", kept, "--json").err == ""
    assert ran.code == Exit.DIFFERENT
    assert ran.out.startswith("drift: ")
    assert "positions: /positions/*/deviceId" in ran.out
    assert ran.err == "the recording was not kept; -o REC keeps it\n"
    with Reader(kept) as reader:
        list(reader)
        assert reader.complete
        assert reader.header.redaction.profile == "secrets"


def test_fail_on_says_from_what_on_drift_ends_with_1(site: Site) -> None:
    arguments = (site.contract, "--url", site.url, "--messages", MESSAGES)
    with site.suffering(fault="field-added", key="added", kinds=["positions"]):
        assert verify(*arguments).code == Exit.DIFFERENT
        ran = verify(*arguments, "--fail-on", "breaking", "--json")
    assert ran.code == Exit.OK
    assert json.loads(ran.out)["verdict"] == "drift"


def test_ranges_are_remarked_on_where_asked_for(site: Site) -> None:
    narrow = site.contract.with_name("narrow.json")
    narrow.write_text(
        re.sub(r'"maximum": [0-9.]+', '"maximum": -999999', site.contract.read_text())
    )
    arguments = (narrow, "--url", site.url, "--messages", MESSAGES)
    assert "see --ranges" in verify(*arguments).out
    assert "-999999" in verify(*arguments, "--ranges").out


def test_too_little_is_undecided(site: Site) -> None:
    empty = site.contract.with_name("empty.json")
    empty.write_bytes(encode_contract(Contract(tool="a test")))
    ran = verify(empty, "--url", site.url, "--messages", 1)
    assert ran.code == Exit.UNDECIDED
    assert ran.out.startswith("undecided: ")


def test_it_listens_for_as_long_as_asked(site: Site) -> None:
    ran = verify(site.contract, "--url", site.url, "--for", "0.3s")
    assert ran.out.startswith("same: ")


# What keeps it from a verdict


def test_a_lost_socket_is_an_error_unless_drift_was_seen(site: Site, tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    arguments = (site.contract, "--url", site.url, "--junit", report)
    with site.suffering(fault="close", code=1011, after=MESSAGES - 1):
        with pytest.raises(ConnectionLost) as lost:
            verify(*arguments)
        assert lost.value.exit_code == Exit.CONNECTION_LOST
        assert 'failures="0"' in report.read_text("utf-8")
        httpx.post(
            f"{site.url}/__admin/faults",
            json={"fault": "field-retyped", "key": "deviceId", "kinds": ["positions"]},
            trust_env=False,
        ).raise_for_status()
        ran = verify(*arguments)
    assert ran.code == Exit.DIFFERENT
    assert "the socket was lost" in ran.err


def test_a_refused_handshake_is_an_error(site: Site) -> None:
    with (
        site.suffering(fault="refusal", status=503),
        pytest.raises(HandshakeRefused) as refused,
    ):
        verify(site.contract, "--url", site.url)
    assert refused.value.exit_code == Exit.HANDSHAKE_REFUSED


def test_a_refused_login_is_an_error_without_the_password(site: Site, tmp_path: Path) -> None:
    kept = tmp_path / "refused.track.jsonl"
    wrong = {"TRACK_EMAIL": EMAIL, "TRACK_PASSWORD": PASSWORD}
    with pytest.raises(LoginRefused) as refused:
        verify(site.contract, "--url", site.url, "-o", kept, account=wrong)
    assert refused.value.exit_code == Exit.LOGIN_REFUSED
    assert_no_secret(str(refused.value))
    assert_no_secret(kept.read_text())


def test_a_backend_that_is_down_is_unreachable(site: Site, tmp_path: Path) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(Unreachable) as down:
            verify(site.contract, "--url", url, "-o", tmp_path / "nothing.track.jsonl")
    assert down.value.exit_code == Exit.UNREACHABLE
    assert list(tmp_path.iterdir()) == []


def test_a_recording_that_is_there_stays_unless_forced(site: Site, tmp_path: Path) -> None:
    kept = tmp_path / "mine.track.jsonl"
    kept.write_text("mine")
    arguments = (site.contract, "--url", site.url, "--messages", 1, "-o", kept)
    with pytest.raises(OutputExists):
        verify(*arguments)
    assert kept.read_text() == "mine"
    verify(*arguments, "--force")
    with Reader(kept) as reader:
        assert reader.header.mode == "capture"


@pytest.mark.parametrize(
    ("url", "content", "word"),
    [("http://kim:pw@host", "{}", "--url"), ("http://h", "{}", "no con")],
)
def test_what_is_wrong_with_the_command_line_is_told_first(
    url: str, content: str, word: str, tmp_path: Path
) -> None:
    contract = tmp_path / "contract.json"
    contract.write_text(content)
    ran = CliRunner(env=ACCOUNT).invoke(verify_command, [str(contract), "--url", url])
    assert ran.exit_code != 0
    said = str(ran.exception) if isinstance(ran.exception, RecorderError) else ran.output
    assert word in said
    assert "pw" not in said


# What is sent


def test_the_backend_hears_nothing_but_login_lists_socket_and_pongs(tmp_path: Path) -> None:
    """A real process; what it sent is what the fake recorded."""
    contract, heard = tmp_path / "lists.json", tmp_path / "heard.track.jsonl"
    ca, user_file = tmp_path / "ca.pem", tmp_path / "userdata"
    contract.write_bytes(encode_contract(ONLY_LISTS))
    user_file.write_text(f"EMAIL={DEMO_ACCOUNT.email}\nPASSWORD={DEMO_ACCOUNT.password}\n")
    serving = ("--ping-interval", "1", "--record", heard, f"--tls-self-signed={ca}")
    with fake_server(*serving) as url:
        of_network = ("--ca-file", ca, "--user-file", user_file)
        ran = run("track-replayer", "verify", contract, "--url", url, "--for", "2.5s", *of_network)
        distrusted = run("track-replayer", "verify", contract, "--url", url, *of_network[2:])
    assert distrusted.returncode == Exit.UNREACHABLE
    assert "certificate is not to be trusted" in distrusted.stderr
    assert "--ca-file" in distrusted.stderr
    assert ran.returncode == Exit.UNDECIDED, ran.stderr
    assert DEMO_ACCOUNT.password not in ran.stdout + ran.stderr
    with Reader(heard) as reader:
        entries = list(reader)
    asked = [f"{one.method} {one.target}" for one in entries if isinstance(one, Request)]
    assert asked == [
        "POST /api/session",
        "GET /api/devices",
        "GET /api/positions",
        "GET /api/socket",
    ]
    *pongs, close = [
        one.frame() for one in entries if isinstance(one, FrameEntry) and one.sender == "client"
    ]
    assert pongs
    assert all((parse_pong(frame.payload) or 0) and frame.opcode == Opcode.TEXT for frame in pongs)
    assert (close.opcode, close.close_code) == (Opcode.CLOSE, 1000)
