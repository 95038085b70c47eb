"""What must hold every time, many times."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.bench_recording import kill_loss_p99_ms
from tests.examples import demo

pytestmark = pytest.mark.nightly


@pytest.mark.parametrize("round_number", range(25))
def test_the_demo_is_identical_every_time(round_number: int) -> None:
    done = subprocess.run(
        [sys.executable, str(Path(demo.__file__))], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_kill_9_never_loses_more_than_a_second() -> None:
    assert kill_loss_p99_ms(200) < 1000
