"""The doctor: tries a backend step by step; says what was seen, what it means and what to do."""

from __future__ import annotations

from recorder.doctor.check import check
from recorder.doctor.results import STEPS, Outcome, Result, Step, exit_code_of
from recorder.doctor.surroundings import Address, Surroundings
from recorder.doctor.visit import CheckOptions

__all__ = [
    "STEPS",
    "Address",
    "CheckOptions",
    "Outcome",
    "Result",
    "Step",
    "Surroundings",
    "check",
    "exit_code_of",
]
