"""What a program of any language needs to know of a server that listens: one JSON object."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from fake_server.accounts import DEMO_ACCOUNT
from fake_server.commands.assembly import Parts, check_can_be_made
from fake_server.commands.options import ServerOptions
from recorder.backend import Backend
from recorder.destination import destination, unfinished_path
from recorder.errors import OutputExists

__all__ = ["check_ready_file", "ready_facts", "ready_file", "ready_json"]


def ready_facts(address: Backend, parts: Parts, options: ServerOptions) -> dict[str, Any]:
    """Where the server is and who may log in. The password is there for the demo account alone,
    whose is no secret; ``ca_file`` where a CA was made for it.
    """
    account = parts.credentials[0]
    facts: dict[str, Any] = {
        "base_url": address.http_url,
        "ws_url": address.socket_url,
        "admin_url": f"{address.http_url}/__admin",
        "port": address.port,
        "pid": os.getpid(),
        "email": account.email,
    }
    if account == DEMO_ACCOUNT:
        facts["password"] = account.password
    if options.tls_self_signed is not None:
        facts["ca_file"] = str(options.tls_self_signed.absolute())
    return facts


def ready_json(facts: Mapping[str, Any]) -> str:
    """The object on one line."""
    return msgspec.json.encode(facts).decode()


def check_ready_file(path: Path) -> None:
    """Raises OutputExists if there is something of this name already, which would be taken for
    this server's before it listens, or if no file can be made there.
    """
    if path.exists():
        raise OutputExists(
            f"{path} exists already: another server's, or left by one that was killed; name"
            " another file, or remove it"
        )
    check_can_be_made(path)


@contextlib.contextmanager
def ready_file(path: Path | None, facts: Mapping[str, Any]) -> Iterator[None]:
    """The object stands in the file while the block runs; it appears whole. None is no file. Where
    another server's stands there in the end, that stays.

    Raises what :func:`check_ready_file` and :func:`recorder.destination.destination` do.
    """
    if path is None:
        yield
        return
    check_ready_file(path)
    final, _ = unfinished_path(path)
    text = ready_json(facts).encode() + b"\n"
    with destination(str(final)) as file:
        file.write(text)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            if final.read_bytes() == text:
                final.unlink()
