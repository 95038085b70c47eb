"""What the command line asks for, read and checked: all that a server is made of."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click
import msgspec

from fake_server.accounts import Accounts, load_accounts
from fake_server.commands.faults_file import load_faults
from fake_server.commands.options import ADMIN_TOKEN_VARIABLE, ServerOptions
from fake_server.commands.telling import plural
from fake_server.faults import Injection
from fake_server.playback import Playback
from recorder.console import say
from recorder.credentials import Credentials
from recorder.destination import unfinished_path
from recorder.errors import CannotRead, OutputExists, RulesError
from recorder.track.rules import Rules
from recorder.track.rules_file import load_rules
from replayer.playing.script import Source

__all__ = ["Parts", "check_can_be_made", "parts_of"]

# It has to fit into a header field, behind "Bearer ".
_TOKEN: Final = re.compile(r"[!-~]+")


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What a server is made of. ``what`` says in words what it plays; ``credentials`` are those of
    its accounts.
    """

    source: Source
    what: str
    accounts: Accounts
    credentials: tuple[Credentials, ...]
    rules: Rules
    playback: Playback
    faults: tuple[Injection, ...]
    fault_seed: int
    admin_token: str | None


def parts_of(options: ServerOptions, recording: Path | None = None, *further: Path) -> Parts:
    """Read every file that the options name; the fleet is played where ``recording`` is None.
    ``further`` are more parts of the same series, played as one.

    Raises click.UsageError on options that do not go together, and what the readers of the files
    raise.
    """
    _check_together(options, recording, *further)
    rules = load_rules(options.rules_file) if options.rules_file is not None else Rules()
    if options.strict:
        rules = msgspec.structs.replace(rules, strict=True)
    if options.ping_interval is not None:
        try:
            rules = msgspec.structs.replace(rules, ping_interval_s=options.ping_interval)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--ping-interval") from error
    faults, seed = list(options.faults), options.fault_seed
    if options.faults_file is not None:
        more, seed_of_file = load_faults(options.faults_file)
        faults = more + faults
        seed = seed_of_file if seed is None else seed
    accounts = load_accounts(options.user_file) if options.user_file is not None else Accounts()
    admin_token = _admin_token(options.admin_token_file)
    source, what = _source(recording, *further, is_rebased=options.rebase == "now")
    for email, name in accounts.names_nothing(source.opening.objects("devices")):
        say(
            f"{options.user_file}: account {email} names {name!r}, and no device has that id, name"
            " or uniqueId now"
        )
    return Parts(
        source=source,
        what=what,
        accounts=accounts,
        credentials=tuple(accounts.credentials),
        rules=rules,
        playback=Playback(
            mode=options.playback or ("shared" if recording is None else "per-connection"),
            speed=options.speed,
            at_end=options.at_end,
            pings=options.pings,
            start=options.start,
            paused=options.paused,
        ),
        faults=tuple(faults),
        fault_seed=seed or 0,
        admin_token=admin_token,
    )


def check_can_be_made(path: Path) -> None:
    """Raises OutputExists if no file can be made there, now and not when it is to be written; one
    that is there stays as it is.
    """
    final = path.resolve()
    if final.exists() and not final.is_file():
        raise OutputExists(f"{path} is no regular file; name another")
    _, partial = unfinished_path(final, force=True)
    try:
        partial.touch(exist_ok=False)
        partial.unlink()
    except OSError as error:
        raise OutputExists(f"{path} cannot be made: {error.strerror}; name another") from error


def _check_together(options: ServerOptions, recording: Path | None, *further: Path) -> None:
    if recording is None:
        if options.pings == "recorded":
            raise click.UsageError("--pings recorded needs a recording")
        if options.rebase is not None:
            raise click.UsageError("--rebase needs a recording; the fleet is of today anyway")
    if options.start == "now" and recording is not None and options.playback != "shared":
        raise click.UsageError("--start now needs --playback shared: else each socket is a start")
    if options.tls_key is not None and options.tls_cert is None:
        raise click.UsageError("--tls-key needs --tls-cert")
    if options.tls_cert is not None and options.tls_self_signed is not None:
        raise click.UsageError("--tls-cert or --tls-self-signed, not both")
    if recording is None and str(options.tls_self_signed).endswith((".jsonl", ".zst")):
        raise click.UsageError(
            f"{options.tls_self_signed} stands where the CA_FILE of --tls-self-signed does;"
            " name the recording first"
        )
    if options.record is None:
        if options.force:
            raise click.UsageError("--force needs --record")
        return
    for played in (recording, *further):
        if played is not None and options.record.resolve() == played.resolve():
            raise click.UsageError(f"{played} is what is played; --record into another file")


def _source(recording: Path | None, *further: Path, is_rebased: bool) -> tuple[Source, str]:
    if recording is None:
        from fake_server.fleet import Fleet

        return Fleet(), "a synthetic fleet"
    from replayer.playing.script import load_script

    script = load_script(recording, *further)
    for problem in script.problems:
        say(problem)
    if script.torn is not None:
        say(
            f"{script.names[-1]} is torn: {script.torn.bytes_lost} bytes at its end could not be"
            f" read ({script.torn.why}); what comes before is played"
        )
    sockets = f"{script.sockets} socket{'s' if script.sockets != 1 else ''}"
    what = (
        script.names[0]
        if not further
        else f"{script.names[0]} and {plural(len(further), 'more part')}"
    )
    if not is_rebased:
        return script, f"{what} ({sockets})"
    from replayer.playing.rebase import rebased_to_now

    source = rebased_to_now(script, datetime.now(UTC))
    moved = "it holds no dates" if source is script else "its last date is now"
    return source, f"{what} ({sockets}; {moved})"


def _admin_token(path: Path | None) -> str | None:
    if path is None:
        token, where = os.environ.get(ADMIN_TOKEN_VARIABLE) or None, ADMIN_TOKEN_VARIABLE
    else:
        where = str(path)
        try:
            token = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise CannotRead(f"{path}: cannot read the admin token: {reason}") from None
    if token is not None and not _TOKEN.fullmatch(token):
        raise RulesError(f"{where}: expected the admin token, printable ASCII without spaces")
    return token
