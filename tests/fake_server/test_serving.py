"""A server on a port, from the options: what of it is recorded, and how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from fake_server.commands.serving import tell_the_end
from recorder.exits import Exit
from recorder.model import Request
from recorder.recording import Reader
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
