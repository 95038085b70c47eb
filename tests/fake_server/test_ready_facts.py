"""What is told to whoever starts a server, and what is not."""

from __future__ import annotations

import os
from pathlib import Path

from fake_server.accounts import DEMO_ACCOUNT
from fake_server.commands.assembly import parts_of
from fake_server.commands.ready import ready_facts
from recorder.backend import Backend
from tests.fake_server.command_lines import options

HERE = Backend(tls=False, host="127.0.0.1", port=8)


def test_the_password_of_the_demo_account_is_no_secret() -> None:
    found = options()
    facts = ready_facts(HERE, parts_of(found), found)
    assert (facts["email"], facts["password"]) == (DEMO_ACCOUNT.email, DEMO_ACCOUNT.password)
    assert facts["pid"] == os.getpid()
    assert "ca_file" not in facts


def test_any_other_password_is_told_nowhere(tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text("EMAIL=me@example.com\nPASSWORD=staple-battery\n")
    found = options("--user-file", str(users))
    facts = ready_facts(HERE, parts_of(found), found)
    assert facts["email"] == "me@example.com"
    assert "password" not in facts
    assert "staple-battery" not in str(facts)
