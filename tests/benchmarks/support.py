"""Servers and clients of the benchmarks as processes, each told what to do by lines of JSON."""

from __future__ import annotations

import contextlib
import json
import resource
import select
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[2]

_ANSWER_TIMEOUT_S = 60.0


class Program:
    """One of `tests.benchmarks.load`, given its plan; ``started`` is what it answers to that.

    Leaving the block ends the process; it ends by itself, too, if this one is killed.
    """

    def __init__(self, name: str, **plan: Any) -> None:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"tests.benchmarks.load.{name}"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            self._write(plan)
            self.started = self.hear()
        except BaseException:
            self._end()
            raise

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Give a command and wait for its answer."""
        self.tell(do, **arguments)
        return self.hear()

    def tell(self, do: str, **arguments: Any) -> None:
        """Give a command; :meth:`hear` its answer before the next."""
        self._write({"do": do, **arguments})

    def hear(self) -> dict[str, Any]:
        """Wait for the answer; raises RuntimeError if there comes none."""
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], _ANSWER_TIMEOUT_S)
        line = self._process.stdout.readline() if ready else ""
        if not line:
            raise RuntimeError(f"{self.name} gives no answer; what it says of it stands above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def wait_for(self, sockets: int) -> None:
        """Wait until so many sockets are open, of a server."""
        until_s = time.monotonic() + _ANSWER_TIMEOUT_S
        while (count := self.ask("open")["sockets"]) != sockets:
            if time.monotonic() > until_s:
                raise RuntimeError(f"{self.name} has {count} open sockets instead of {sockets}")
            time.sleep(0.01)

    @property
    def resident_bytes(self) -> int:
        """The memory that the process has in use now (VmRSS of proc(5))."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    def _write(self, value: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(value) + "\n")
        self._process.stdin.flush()

    def _end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()
