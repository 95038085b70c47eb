"""``docs/conform.md`` has every rule and every fault."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from fake_server.faults import FAULTS
from replayer.diagnosis.rules import DIAGNOSED

PAGE: Final = (Path(__file__).parents[3] / "docs" / "conform.md").read_text()
SECTIONS: Final = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))


def rows(section: str) -> dict[str, list[str]]:
    """The cells of each row of a section's table, by what the first of them names."""
    found = {}
    for line in re.findall(r"^\| (`.*) \|$", SECTIONS[section], re.M):
        first, *others = re.split(r" (?<!\\)\| ", line)
        for name in re.findall(r"`([^`]+)`", first):
            found[name] = others
    return found


def test_the_page_has_every_rule_with_whose_it_is_and_what_it_asks() -> None:
    for section, is_breach in (("Rules that can be broken", True), ("Remarks", False)):
        expected = {
            name: (rule.by, rule.asks)
            for name, rule in DIAGNOSED.items()
            if rule.is_breach == is_breach
        }
        assert {name: tuple(cells[:2]) for name, cells in rows(section).items()} == expected


def test_the_page_says_of_every_fault_how_it_shows() -> None:
    shown = rows("How a fault shows")
    assert set(shown) == set(FAULTS)
    named = {
        rule for cells in shown.values() for rule in re.findall(r"`([a-z]+\.[a-z0-9-]+)`", cells[0])
    }
    assert named <= set(DIAGNOSED)
