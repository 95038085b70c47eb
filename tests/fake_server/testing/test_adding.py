"""What is asked of the backend while a fake plays: by whom, and whom it trusts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fake_server.testing.adding import Adding
from recorder.credentials import Credentials

WHO = Credentials("me@example.com", "staple-battery")


async def test_its_proxy_knows_what_to_mask_and_whom_to_trust(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Any, ...]] = []

    def proxying(*arguments: Any, **options: Any) -> Any:
        seen.append((arguments, options))
        raise KeyError("far enough")

    monkeypatch.setattr("fake_server.testing.adding.proxying", proxying)
    added, ca_file = tmp_path / "added.track.jsonl", tmp_path / "ca.pem"
    adding = Adding(
        tmp_path / "own.track.jsonl", "https://track.example", WHO, added=added, ca_file=ca_file
    )
    with pytest.raises(KeyError, match="far enough"):
        await adding.__aenter__()
    assert seen == [
        (("https://track.example", added), {"accounts": [WHO], "ca_file": ca_file}),
    ]
