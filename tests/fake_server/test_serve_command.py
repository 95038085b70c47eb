"""`track-fake-server serve` as a process of its own."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import websockets
import websockets.sync.client

from recorder.exits import Exit
from tests.fake_server.support import DEVICES, MOVED, TIMEOUT, exchange, said, upgrade, write
from tests.processes import clean_environment, run
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
    process = subprocess.Popen(
        [str(BIN / "track-fake-server"), "serve", "--port", "0", *map(str, arguments)],
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url, process.communicate(timeout=20)[1]
        yield Server(process, url)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate(timeout=20)


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


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
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
    last = errors.splitlines()[-1]
    assert "1 socket" in last
    assert "pong.unsolicited 1" in last
    assert "rest.not-recorded 1" in last
    assert cookie.partition("=")[2] not in errors


def test_it_ends_in_order_while_a_client_is_connected(recording: Path) -> None:
    with serving(recording) as server, server.connect(server.log_in()[1]) as client:
        client.recv(timeout=10)
        _, errors = server.end()
        with pytest.raises(websockets.ConnectionClosed):
            hear_until_closed(client)
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


def test_a_port_that_is_taken_is_69(recording: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("track-fake-server", "serve", recording, "--port", port)
    assert done.returncode == Exit.UNREACHABLE
    assert str(port) in done.stderr
    assert_one_line(done)


def test_a_bad_file_of_rules_is_65(recording: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text("ping_intervall_s = 3\n")
    done = run("track-fake-server", "serve", recording, "--rules", rules)
    assert done.returncode == Exit.BAD_DATA
    assert "ping_interval_s" in done.stderr
    assert_one_line(done)


def test_a_bad_user_file_is_65_and_shows_none_of_it(recording: Path, tmp_path: Path) -> None:
    users = tmp_path / "userdata"
    users.write_text(f"EMAIL=jane@example.com\nPASS={PASSWORD}\n")
    done = run("track-fake-server", "serve", recording, "--user-file", users)
    assert done.returncode == Exit.BAD_DATA
    assert "hunter2" not in done.stdout + done.stderr
    assert_one_line(done)


def test_a_recording_with_nothing_to_play_is_65(tmp_path: Path) -> None:
    silent = write(tmp_path / "silent.track.jsonl", exchange("/api/devices", b"[]"))
    done = run("track-fake-server", "serve", silent, "--port", "0")
    assert done.returncode == Exit.BAD_DATA
    assert "silent.track.jsonl" in done.stderr
    assert_one_line(done)


@pytest.mark.parametrize(
    "arguments",
    [
        ["missing.track.jsonl"],
        ["--rules", "missing.toml"],
        ["--user-file", "missing"],
    ],
)
def test_an_input_that_is_missing_is_66(arguments: list[str], tmp_path: Path) -> None:
    done = run("track-fake-server", "serve", "--port", "0", *arguments, cwd=tmp_path)
    assert done.returncode == Exit.NO_INPUT
    assert "missing" in done.stderr
    assert_one_line(done)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--speed", "0"],
        ["--speed", "fast"],
        ["--speed", "nan"],
        ["--port", "65536"],
        ["--at-end", "explode"],
        ["--ping-interval", "0"],
        ["--ping-interval", "nan"],
        ["--pings", "recorded"],
        ["--unknown"],
        ["one", "two"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_is_64(arguments: list[str]) -> None:
    done = run("track-fake-server", "serve", "--port", "0", *arguments)
    assert done.returncode == Exit.USAGE
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def hear_until_closed(client: Any) -> None:
    while True:
        client.recv(timeout=10)


def assert_one_line(done: subprocess.CompletedProcess[str]) -> None:
    """An error of the user's is one line on stderr and nothing on stdout."""
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
