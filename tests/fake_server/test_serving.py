"""A server on a port, from the options: what of it is recorded, and how it ends."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from fake_server.commands.serving import tell_the_end
from recorder.exits import Exit
from recorder.model import Note, Request
from recorder.recording import Reader
from recorder.track.sessions import SESSION_NOTE
from replayer.conformance import conformance
from tests.fake_server.command_lines import options, served_here
from tests.fake_server.support import handshake


async def test_the_demo_accounts_password_hides_no_other_demo(tmp_path: Path) -> None:
    new = tmp_path / "new.track.jsonl"
    async with served_here(None, "--record", new) as here:
        http = await here.http()
        assert (await http.log_in()).status == 200
        await http.ask("/api/devices?of=demo")
    with Reader(new) as reader:
        targets = [entry.target for entry in reader if isinstance(entry, Request)]
    assert targets == ["/api/session", "/api/devices?of=demo"]


async def test_the_password_of_any_other_account_is_hidden_wherever_it_stands(
    tmp_path: Path,
) -> None:
    new, users = tmp_path / "new.track.jsonl", tmp_path / "userdata"
    users.write_text("EMAIL=jane@example.com\nPASSWORD='hunter2-and-more'\n")
    async with served_here(None, "--record", new, "--user-file", users) as here:
        await (await here.http()).ask("/api/devices?of=hunter2-and-more")
    assert "hunter2" not in new.read_text()


async def test_its_own_recording_shows_every_login_so_a_cookie_of_none_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = tmp_path / "new.track.jsonl"
    async with served_here(None, "--record", new) as here:
        http = await here.http()
        await http.send(handshake("JSESSIONID=made-up"))
        assert (await http.head()).status != 101
    assert tell_the_end(here.served, options("--record", new)) == Exit.OK
    told = capsys.readouterr().err
    assert "violations of handshakes and sockets in it: session.unknown-cookie 1" in told


@pytest.mark.parametrize("way", ["in Python", "by HTTP"])
async def test_a_session_that_no_request_began_is_told_in_the_recording_and_blames_nobody(
    way: str, tmp_path: Path
) -> None:
    new = tmp_path / "new.track.jsonl"
    async with served_here(None, "--record", new) as here:
        if way == "in Python":
            cookie = here.served.server.control.login()
        else:
            answer = await (await here.http()).ask(
                "/__admin/login",
                method="POST",
                body=b"{}",
                Host="localhost",
                Content_Type="application/json",
            )
            cookie = json.loads(answer.body)["cookie"]
        await (await here.http()).ask("/api/devices", Cookie=cookie)
        await (await here.http()).ask("/api/devices", Cookie="JSESSIONID=made-up")
    with Reader(new) as reader:
        entries = list(reader)
    assert [entry.text for entry in entries if isinstance(entry, Note)] == [SESSION_NOTE]
    heads = [entry for entry in entries if isinstance(entry, Request)]
    sent = [value for name, value in heads[-2].headers if name.lower() == "cookie"]
    # The name stays: by it a session is known.
    assert [re.sub(r"\d", "N", value) for value in sent] == ["JSESSIONID=[redacted:cookie-N]"]
    assert cookie.partition("=")[2] not in new.read_text()
    assert list(conformance(entries, from_start=True)) == []
