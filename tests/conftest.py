"""Hypothesis profiles: `default` for every run, `nightly` (HYPOTHESIS_PROFILE=nightly) with twenty
times the examples.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

from tests.profiles import NIGHTLY_FACTOR

_COMMON = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
    "print_blob": True,
}
settings.register_profile("default", max_examples=200, **_COMMON)
settings.register_profile("nightly", max_examples=200 * NIGHTLY_FACTOR, **_COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
