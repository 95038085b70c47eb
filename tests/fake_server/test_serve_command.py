"""`track-fake-server serve` as a process of its own."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import trio
import websockets
import websockets.sync.client
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.commands.assembly import parts_of
from fake_server.commands.ready import ready_facts, ready_json
from fake_server.commands.serving import tell_the_end
from fake_server.commands.telling import Telling
from recorder.backend import Backend
from recorder.exits import Exit
from recorder.model import Closed, Open, Request
from recorder.recording import Reader
from recorder.track.violations import RULES, Violation
from tests import processes
from tests.fake_server.command_lines import Ended, ended, options, served_here
from tests.fake_server.support import (
    DEVICES,
    MOVED,
    TIMEOUT,
    Http,
    exchange,
    said,
    upgrade,
    write,
)
from tests.profiles import examples
from tests.programs import BIN

PASSWORD = "correct horse hunter2"


class Server:
    """A running server; `end` stops it and gives what it said on stdout and stderr."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process = process
        self.url = url
        self.address = urlsplit(url).netloc
        self._said: tuple[str, str] | None = None

    def end(self, by: int = signal.SIGINT) -> tuple[str, str]:
        if self._said is None:
            self.process.send_signal(by)
            self._said = self.process.communicate(timeout=20)
        return self._said

    def ask(
        self, method: str, target: str, body: str | None = None, **headers: str
    ) -> tuple[int, str, bytes]:
        connection = http.client.HTTPConnection(self.address, timeout=10)
        try:
            connection.request(method, target, body, headers)
            response = connection.getresponse()
            cookie = (response.getheader("Set-Cookie") or "").partition(";")[0]
            return response.status, cookie, response.read()
        finally:
            connection.close()

    def log_in(self, email: str = "demo@example.com", password: str = "demo") -> tuple[int, str]:
        status, cookie, _ = self.ask(
            "POST",
            "/api/session",
            urlencode({"email": email, "password": password}),
            **{"Content-Type": "application/x-www-form-urlencoded"},
        )
        return status, cookie

    def connect(self, cookie: str) -> Any:
        return websockets.sync.client.connect(
            f"ws://{self.address}/api/socket",
            additional_headers={"Cookie": cookie},
            proxy=None,
            open_timeout=10,
            close_timeout=5,
        )


@contextmanager
def serving(*arguments: object) -> Iterator[Server]:
    with processes.serving(*arguments) as (process, url):
        yield Server(process, url)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return write(
        tmp_path / "some.track.jsonl",
        [
            *exchange("/api/devices", b'[{"id":1,"speed":100.0}]'),
            *upgrade(2),
            said(TIMEOUT),
            said(DEVICES),
            said(MOVED, 3600),
        ],
    )


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_tells_its_url_serves_and_ends_in_order_with_a_summary(by: int, recording: Path) -> None:
    with serving(recording) as server:
        assert re.fullmatch(r"http://127\.0\.0\.1:[1-9]\d*", server.url)
        status, cookie = server.log_in()
        assert status == 200
        assert server.ask("GET", "/api/devices", Cookie=cookie)[2].startswith(
            b'[{"id":1,"speed":100.0}'
        )
        with server.connect(cookie) as client:
            assert [client.recv(timeout=10) for _ in range(2)] == [
                TIMEOUT.decode(),
                DEVICES.decode(),
            ]
            client.send("pong nothing")
        assert server.ask("GET", "/api/nothing", Cookie=cookie)[0] == 404
        out, errors = server.end(by)
    assert server.process.returncode == Exit.OK
    assert out == ""
    assert "Traceback" not in errors
    assert "pong.unsolicited" in errors
    lines = errors.splitlines()
    assert "pong.unsolicited: 1 time (manual 3.3)" in lines
    assert "rest.not-recorded: 1 time (manual 4)" in lines
    assert lines[-1] == "stopped: 1 socket served, 2 violations of 2 rules"
    assert cookie.partition("=")[2] not in errors


def test_it_ends_in_order_while_a_client_is_connected(recording: Path) -> None:
    with serving(recording) as server, server.connect(server.log_in()[1]) as client:
        client.recv(timeout=10)
        _, errors = server.end()
        with pytest.raises(websockets.ConnectionClosedOK) as closed:
            hear_until_closed(client)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001
    assert server.process.returncode == Exit.OK
    assert "Traceback" not in errors


def test_speed_at_end_and_ping_interval_reach_the_socket(recording: Path) -> None:
    options = ("--speed", "max", "--ping-interval", "0.2", "--at-end", "hold")
    with serving(recording, *options) as server:
        with server.connect(server.log_in()[1]) as client:
            heard = [client.recv(timeout=10) for _ in range(4)]
        assert heard[:3] == [TIMEOUT.decode(), DEVICES.decode(), MOVED.decode()]
        assert json.loads(heard[3])["status"][0]["type"] == "PING"
        server.end()


def test_at_end_close_closes(recording: Path) -> None:
    with serving(recording, "--speed", "max", "--at-end", "close") as server:
        with (
            server.connect(server.log_in()[1]) as client,
            pytest.raises(websockets.ConnectionClosedOK) as closed,
        ):
            hear_until_closed(client)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1000
        server.end()


def test_rules_reach_the_wire_from_their_file(recording: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('cookie_name = "SID"\nstatus_wrong_password = 403\n')
    with serving(recording, "--rules", rules) as server:
        assert server.log_in()[1].startswith("SID=")
        assert server.log_in(password="wrong")[0] == 403
        server.end()


def test_the_accounts_of_a_file_may_log_in_and_their_passwords_show_nowhere(
    recording: Path, tmp_path: Path
) -> None:
    users = tmp_path / "userdata"
    users.write_text(f"EMAIL=jane@example.com\nPASSWORD='{PASSWORD}'\n")
    with serving(recording, "--user-file", users) as server:
        status, cookie = server.log_in("jane@example.com", PASSWORD)
        assert status == 200
        assert server.log_in("jane@example.com", PASSWORD + "x")[0] == 401
        assert server.log_in()[0] == 401
        with pytest.raises(websockets.InvalidStatus), server.connect(cookie + "x"):
            pass
        out, errors = server.end()
    assert PASSWORD not in out + errors
    assert cookie.partition("=")[2] not in out + errors


def test_without_a_recording_it_serves_a_fleet() -> None:
    with serving("--ping-interval", "5") as server:
        cookie = server.log_in()[1]
        assert json.loads(server.ask("GET", "/api/devices", Cookie=cookie)[2])
        with server.connect(cookie) as client:
            kinds = {next(iter(json.loads(client.recv(timeout=10)))) for _ in range(6)}
        assert "webSessionTimeout" in kinds
        _, errors = server.end()
    assert "Traceback" not in errors


# What programs of any language read


def test_a_ready_file_says_all_while_the_server_listens_and_is_gone_behind_it(
    tmp_path: Path,
) -> None:
    ready = tmp_path / "ready.json"
    with serving("--ready-file", ready, "--print-json") as server:
        facts = json.loads(server.url)
        server.address = urlsplit(facts["base_url"]).netloc
        # What it says on stdout comes first; the last words before the file are those of Ctrl-C.
        assert server.process.stderr is not None
        while "Ctrl-C" not in server.process.stderr.readline():
            pass
        assert server.log_in(facts["email"], facts["password"])[0] == 200
        assert json.loads(ready.read_text()) == facts
        assert [one.name for one in tmp_path.iterdir()] == ["ready.json"]
        server.end()
    assert server.process.returncode == Exit.OK
    assert list(tmp_path.iterdir()) == []
    port = facts["port"]
    assert facts == {
        "base_url": f"http://127.0.0.1:{port}",
        "ws_url": f"ws://127.0.0.1:{port}/api/socket",
        "admin_url": f"http://127.0.0.1:{port}/__admin",
        "port": port,
        "pid": server.process.pid,
        "email": "demo@example.com",
        "password": "demo",
    }


def test_what_is_told_of_a_server_holds_no_password_but_the_demo_accounts(tmp_path: Path) -> None:
    users = tmp_path / "userdata"
    users.write_text(f"EMAIL=jane@example.com\nPASSWORD='{PASSWORD}'\n")
    found = options("--user-file", users, "--tls-self-signed", tmp_path / "ca.pem")
    address = Backend(tls=True, host="127.0.0.1", port=1)
    facts = ready_facts(address, parts_of(found, None), found)
    assert facts["email"] == "jane@example.com"
    assert facts["ca_file"] == str(tmp_path / "ca.pem")
    assert facts["ws_url"] == "wss://127.0.0.1:1/api/socket"
    assert PASSWORD not in ready_json(facts)


def test_a_ready_file_that_there_is_already_is_73_and_is_left_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ready = tmp_path / "ready.json"
    ready.write_text("{}")
    done = serve(capsys, "--port", "0", "--ready-file", ready)
    assert_one_line(done, Exit.EXISTS, f"{ready} exists already", "remove it")
    assert ready.read_text() == "{}"


# What the options do, seen on the wire


async def test_strict_refuses_and_its_violations_are_told(recording: Path) -> None:
    async with served_here(recording, "--strict") as here:
        client = await here.socket()
        await client.expect(TIMEOUT, DEVICES)
        await client.text("pong nothing")
        frame = await client.frame()
        assert frame is not None
        assert frame.close_code == 1008
    assert here.served.telling.counts == {"pong.unsolicited": 1}


def test_strict_ends_with_1_if_there_was_a_violation_though_the_list_was_cleared(
    recording: Path,
) -> None:
    with serving(recording, "--strict") as server:
        assert server.ask("GET", "/api/devices")[0] == 401
        headers = {"Content-Type": "application/json"}
        assert server.ask("POST", "/__admin/reset", "{}", **headers)[0] == 200
        _, errors = server.end()
    assert server.process.returncode == Exit.DIFFERENT
    assert errors.splitlines()[-1] == (
        "stopped: 0 sockets served, 1 violation of 1 rule, which --strict ends with 1"
    )


def test_strict_without_a_violation_ends_with_0(recording: Path) -> None:
    with serving(recording, "--strict") as server:
        assert server.log_in()[0] == 200
        server.end()
    assert server.process.returncode == Exit.OK


async def test_shared_playback_goes_on_where_per_connection_begins_again(
    tmp_path: Path,
) -> None:
    two = [*upgrade(), said(DEVICES), said(b'{"devices":[{"id":3}]}')]
    recording = write(tmp_path / "two.track.jsonl", two)
    heard: dict[str, bytes] = {}
    for mode in ("per-connection", "shared"):
        arguments = ("--playback", mode, "--speed", "max")
        async with served_here(recording, *arguments) as here:
            first = await here.socket()
            await first.expect(TIMEOUT, DEVICES, b'{"devices":[{"id":3}]}')
            late = await here.socket()
            await late.expect(TIMEOUT)
            frame = await late.frame()
            assert frame is not None
            heard[mode] = frame.payload
    # Who joins late is told the state, in one message a kind.
    assert heard["per-connection"] == DEVICES
    assert heard["shared"] == DEVICES.removesuffix(b"]}") + b',{"id":3}]}'


async def test_shared_playback_starts_with_the_server_where_that_is_asked(recording: Path) -> None:
    for start, begun in (("now", True), ("login", False)):
        async with served_here(recording, "--playback", "shared", "--start", start) as here:
            assert bool(here.served.server.hub.playback.clocks()) == begun


def test_it_listens_where_it_is_told_to(recording: Path) -> None:
    with serving(recording, "--host", "127.0.0.2") as server:
        assert server.url.startswith("http://127.0.0.2:")
        assert server.log_in()[0] == 200


async def test_faults_of_the_command_line_and_of_a_file_reach_the_socket(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "faults.toml"
    file.write_text('seed = 7\n[[fault]]\nfault = "duplicate"\nkinds = ["devices"]\n')
    arguments = ("--faults", file, "--fault", "close:code=1011,after=2", "--fault", "rst:after=9")
    async with served_here(recording, "--speed", "max", *arguments) as here:
        client = await here.socket()
        await client.expect(TIMEOUT, DEVICES, DEVICES)
        frame = await client.frame()
        assert frame is not None
        assert frame.close_code == 1011
        assert here.served.server.faults.seed == 7
    tell_the_end(here.served, options(*arguments))
    told = capsys.readouterr().err
    for line in ("duplicate: struck 1 time", "close: struck 1 time", "rst: never struck"):
        assert f"fault {line}\n" in told


def test_what_an_account_names_in_vain_is_told(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "accounts.toml"
    file.write_text('[[account]]\nemail = "a@b"\npassword = "pw"\ndevices = ["Nosuch"]\n')
    parts_of(options("--user-file", file), recording)
    assert f"{file}: account a@b names 'Nosuch', and no device" in capsys.readouterr().err


def test_that_a_recording_is_torn_is_told(
    recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording.write_bytes(recording.read_bytes()[:-9])
    parts_of(options(), recording)
    assert "is torn: " in capsys.readouterr().err


def test_the_seed_of_the_command_line_wins(tmp_path: Path) -> None:
    file = tmp_path / "faults.toml"
    file.write_text("seed = 7\n")
    assert parts_of(options("--faults", file), None).fault_seed == 7
    assert parts_of(options("--faults", file, "--fault-seed", 0), None).fault_seed == 0
    assert parts_of(options(), None).fault_seed == 0


async def test_rebase_moves_the_last_date_to_now(tmp_path: Path) -> None:
    dated = b'{"positions":[{"id":1,"fixTime":"%s"}]}'
    recording = write(
        tmp_path / "some.track.jsonl",
        [
            *upgrade(),
            said(dated % b"2019-08-01T10:00:00.000+0000"),
            said(dated % b"2019-08-01T11:00:00.000+0000", 0.1),
        ],
    )
    before = datetime.now(UTC)
    async with served_here(recording, "--rebase", "now", "--speed", "max") as here:
        client = await here.socket()
        frames = [frame for _ in range(3) if (frame := await client.frame()) is not None]
    first, last = (
        datetime.fromisoformat(json.loads(frame.payload)["positions"][0]["fixTime"])
        for frame in frames[1:]
    )
    assert last - first == timedelta(hours=1)
    assert before - timedelta(milliseconds=1) <= last <= datetime.now(UTC)
    assert "its last date is now" in parts_of(options("--rebase", "now"), recording).what


def test_a_recording_without_dates_is_said_to_have_none(recording: Path) -> None:
    assert "holds no dates" in parts_of(options("--rebase", "now"), recording).what


async def test_paused_playback_waits_to_be_resumed(recording: Path) -> None:
    async with served_here(recording, "--paused") as here:
        client = await here.socket()
        with trio.move_on_after(0.1) as waited:
            await client.expect(TIMEOUT)
        assert waited.cancelled_caught
        here.served.server.control.resume()
        await client.expect(TIMEOUT, DEVICES)


async def test_the_accounts_of_a_toml_file_see_what_it_says(
    recording: Path, tmp_path: Path
) -> None:
    users = tmp_path / "accounts.toml"
    users.write_text('[[account]]\nemail = "demo@example.com"\npassword = "demo"\ndevices = [2]\n')
    async with served_here(recording, "--user-file", users) as here:
        cookie = await here.cookie()
        devices = (await (await here.http()).ask("/api/devices", Cookie=cookie)).json
    assert [device["id"] for device in devices] == [2]


@pytest.mark.parametrize("place", ["file", "environment"])
async def test_with_an_admin_token_the_control_api_asks_for_it(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments: list[object] = []
    if place == "file":
        (tmp_path / "token").write_text("s3cret-token\n")
        arguments = ["--admin-token-file", tmp_path / "token"]
    else:
        monkeypatch.setenv("TRACK_ADMIN_TOKEN", "s3cret-token")
    async with served_here(None, *arguments) as here:
        http = await here.http()
        assert (await http.ask("/__admin")).status == 401
        answer = await http.ask("/__admin", Authorization="Bearer s3cret-token")
        assert answer.status == 200


async def test_what_clients_do_is_recorded_without_their_passwords_and_judged_at_the_end(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    users = tmp_path / "userdata"
    users.write_text(f"EMAIL=demo@example.com\nPASSWORD=demo\nEMAIL=x@y.z\nPASSWORD='{PASSWORD}'\n")
    new = tmp_path / "new.track.jsonl"
    found = options("--user-file", users, "--record", new)
    async with served_here(recording, "--user-file", users, "--record", new) as here:
        client = await here.socket()
        await client.expect(TIMEOUT, DEVICES)
        await client.text("pong nothing")
        await client.text(f"my password is {PASSWORD}")
        await client.close()
    assert tell_the_end(here.served, found) == Exit.OK
    assert (
        "violations of handshakes and sockets in it: pong.unsolicited 1, text.unknown 1"
        in capsys.readouterr().err
    )
    assert b"hunter2" not in new.read_bytes()
    with Reader(new) as reader:
        entries = list(reader)
        assert reader.header.mode == "fake"
        assert reader.header.upstream == here.served.address.http_url
        assert reader.why_incomplete is None
    peers = [entry.peer or "" for entry in entries if isinstance(entry, Open)]
    assert len(peers) == 2
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+", peer) for peer in peers)


async def test_a_connection_that_is_open_when_the_server_stops_is_recorded_so(
    tmp_path: Path,
) -> None:
    new = tmp_path / "new.track.jsonl"
    async with served_here(None, "--record", new) as here:
        address = here.served.address
        stream = await trio.open_tcp_stream(address.host, address.port)
        await Http(stream).ask("/api/devices")
    await stream.aclose()
    with Reader(new) as reader:
        (closed,) = (entry for entry in reader if isinstance(entry, Closed))
    assert (closed.by, closed.how) == ("server", "stopped")


async def test_a_recording_over_tls_shows_its_version_and_plain_http(tmp_path: Path) -> None:
    new, ca_file = tmp_path / "new.track.jsonl", tmp_path / "ca.pem"
    async with served_here(None, "--record", new, "--tls-self-signed", ca_file) as here:
        plain = (await here.http()).stream
        trusting = ssl.create_default_context(cafile=ca_file)
        secure = trio.SSLStream(plain, trusting, server_hostname="127.0.0.1", https_compatible=True)
        assert (await Http(secure).ask("/api/devices")).status == 401
    with Reader(new) as reader:
        opened, request, *_ = reader
    assert isinstance(opened, Open)
    assert opened.tls == "TLSv1.3"
    assert isinstance(request, Request)
    assert request.target == "/api/devices"


def test_a_disk_that_is_full_ends_the_server_with_74(tmp_path: Path) -> None:
    full = 'ulimit -f 4; exec "$0" serve --port 0 --record new.track.jsonl'
    process = subprocess.Popen(
        ["bash", "-c", full, str(BIN / "track-fake-server")],
        cwd=tmp_path,
        env=processes.clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        server = Server(process, process.stdout.readline().strip())
        with suppress(OSError, http.client.HTTPException):
            for _ in range(100):
                server.log_in()
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
        process.communicate(timeout=20)
    assert process.returncode == Exit.DISK_FAILED
    assert "new.track.jsonl" in errors.splitlines()[-1]
    assert "Traceback" not in errors


def test_the_files_that_the_documentation_shows_are_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "offline.md").read_text()
    accounts, faults = re.findall(r"^```toml\n(.*?)^```$", page, re.M | re.S)
    (tmp_path / "accounts.toml").write_text(accounts)
    (tmp_path / "faults.toml").write_text(faults)
    found = options("--user-file", tmp_path / "accounts.toml", "--faults", tmp_path / "faults.toml")
    parts = parts_of(found, None)
    assert parts.accounts.emails == ["jane@example.com"]
    assert [one.to_builtins()["fault"] for one in parts.faults] == ["close", "duplicate"]


# What is told


def broken(rule: str, at_ns: int | None = None, seen: str = "this") -> Violation:
    return Violation.of(rule, seen=seen, expected="that", connection=3, at_ns=at_ns)


def test_a_flood_of_one_rule_is_told_five_times_and_counted_to_the_end() -> None:
    told: list[str] = []
    telling = Telling(1_000_000_000, tell=told.append)
    for number in range(1000):
        telling(broken("pong.unsolicited", number * 1_000_000_000))
    telling(broken("text.unknown", 9_000_000_000))
    assert [line for line in told if "pong.unsolicited, manual 3.3" in line] == told[:5]
    assert told[5] == "pong.unsolicited: further ones are only counted"
    assert told[6:] == [
        "violation: connection 3, 8.000 s: this; expected that [text.unknown, manual 3.3]"
    ]
    assert telling.counts == {"pong.unsolicited": 1000, "text.unknown": 1}
    assert telling.total() == "1001 violations of 2 rules"
    assert list(telling.summary()) == [
        "pong.unsolicited: 1000 times (manual 3.3)",
        "    connection 3, -1.000 s: this; expected that",
        "text.unknown: 1 time (manual 3.3)",
        "    connection 3, 8.000 s: this; expected that",
    ]


@given(st.lists(st.tuples(st.sampled_from(sorted(RULES)), st.text(max_size=200)), max_size=20))
@settings(max_examples=examples(60))
def test_the_list_names_each_rule_once_and_is_80_columns_wide(
    violations: list[tuple[str, str]],
) -> None:
    telling = Telling(0, tell=lambda line: None)
    for rule, seen in violations:
        telling(broken(rule, 0, seen))
    lines = list(telling.summary())
    assert all(len(line) <= 80 for line in lines)
    named = [line.partition(":")[0] for line in lines if not line.startswith(" ")]
    assert named == list(dict.fromkeys(rule for rule, _ in violations))


def test_who_closed_our_stderr_is_told_nothing_and_the_server_goes_on() -> None:
    def tell(line: str) -> None:
        raise BrokenPipeError

    telling = Telling(0, tell=tell)
    telling(broken("pong.late"))
    assert telling.counts == {"pong.late": 1}


# What ends at once


def test_a_port_that_is_taken_is_69_and_its_ca_file_stays(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ca_file = tmp_path / "ca.pem"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = serve(capsys, recording, "--port", port, "--tls-self-signed", ca_file)
    assert_one_line(done, Exit.UNREACHABLE, str(port))
    assert not ca_file.exists()


@pytest.mark.parametrize(
    ("option", "content", "shown"),
    [
        ("--rules", "ping_intervall_s = 3\n", "ping_interval_s"),
        ("--user-file", f"EMAIL=jane@example.com\nPASS={PASSWORD}\n", "EMAIL="),
        ("--admin-token-file", f"{PASSWORD}\n", "without spaces"),
        ("--admin-token-file", "\n", "without spaces"),
        ("--faults", "[[fault]\n", "not a TOML file"),
        ("--faults", "[[faults]]\n", "unexpected 'faults'"),
        ("--faults", "fault = 1\n", "expected seed = NUMBER and tables [[fault]]"),
        ("--faults", "seed = 1.5\n", "seed: expected a whole number"),
        ("--faults", '[[fault]]\nfault = "fin"\n[[fault]]\n', "fault 2: expected 'fault'"),
        ("--faults", '[[fault]]\nfault = "fin"\nafter = -1\n', "fault 1: "),
        ("--tls-cert", "no PEM\n", "no certificate in PEM"),
    ],
)
def test_a_bad_file_is_65_and_shows_no_secret(
    option: str, content: str, shown: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "the-file"
    file.write_text(content)
    done = serve(capsys, "--port", "0", option, file)
    assert_one_line(done, Exit.BAD_DATA, "the-file", shown)
    assert "hunter2" not in done.errors


def test_a_recording_with_nothing_to_play_is_65(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = write(tmp_path / "silent.track.jsonl", [])
    assert_one_line(serve(capsys, "--port", "0", silent), Exit.BAD_DATA, "silent.track.jsonl")


@pytest.mark.parametrize(
    "option", ["", "--rules", "--user-file", "--admin-token-file", "--faults", "--tls-cert"]
)
def test_an_input_that_is_missing_is_66(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "missing"
    arguments = [option, missing] if option else [missing]
    assert_one_line(serve(capsys, "--port", "0", *arguments), Exit.NO_INPUT, str(missing))


@pytest.mark.parametrize("option", ["--record", "--tls-self-signed"])
def test_an_output_that_exists_is_73_and_is_left_as_it_is(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine"
    mine.write_text("precious")
    assert_one_line(serve(capsys, "--port", "0", option, mine), Exit.EXISTS, str(mine))
    assert mine.read_text() == "precious"


@pytest.mark.parametrize(
    "line",
    [
        "--speed 0",
        "--speed fast",
        "--speed nan",
        "--port 65536",
        "--at-end explode",
        "--ping-interval 0",
        "--ping-interval nan",
        "--pings recorded",
        "--rebase now",
        "some.track.jsonl --rebase yesterday",
        "--fault explode",
        "--fault close:code=nothing",
        "--fault close:colour=red",
        "--fault-seed x",
        "--tls-key some.pem",
        "--tls-cert some.pem --tls-self-signed",
        "--tls-self-signed some.track.jsonl",
        "--force",
        "some.track.jsonl --start now",
        "some.track.jsonl --record ./some.track.jsonl --force",
        "--admin-token hunter2",
        "--unknown",
    ],
)
def test_a_wrong_command_line_is_64(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    done = serve(capsys, "--port", "0", *line.split())
    assert done.code == Exit.USAGE
    assert done.out == ""
    assert "Traceback" not in done.errors


def serve(capsys: pytest.CaptureFixture[str], *arguments: object) -> Ended:
    return ended(capsys, "serve", *arguments)


def hear_until_closed(client: Any) -> None:
    while True:
        client.recv(timeout=10)


def assert_one_line(done: Ended, code: Exit, *shown: str) -> None:
    """An error of the user's is one line on stderr and nothing on stdout."""
    assert done.code == code
    assert done.out == ""
    assert len(done.errors.splitlines()) == 1, done.errors
    for words in shown:
        assert words in done.errors
