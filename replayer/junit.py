"""JUnit XML, as CI systems read it: one suite of cases. Pure.

The form is that of Jenkins' schema (``testsuites``, ``testsuite``, ``testcase`` with ``failure``,
``error`` or ``skipped``), which GitLab, GitHub's actions and Azure read alike.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal
from xml.etree import ElementTree

import msgspec

__all__ = ["Case", "junit_xml"]


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was checked. ``group`` stands where a test's class does. ``message`` is one
    line, ``detail`` all there is to say; both are empty where it passed."""

    group: str
    name: str
    outcome: Literal["passed", "failed", "skipped", "error"] = "passed"
    message: str = ""
    detail: str = ""
    took_s: float = 0.0


_ELEMENTS: Final = {"failed": "failure", "skipped": "skipped", "error": "error"}
_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(suite: str, cases: Sequence[Case]) -> str:
    """The document, with its XML declaration and a line end. What XML 1.0 section 2.2 has no place
    for stands as an escape."""
    counts = {
        "tests": len(cases),
        "failures": sum(case.outcome == "failed" for case in cases),
        "errors": sum(case.outcome == "error" for case in cases),
        "skipped": sum(case.outcome == "skipped" for case in cases),
    }
    numbers = {name: str(count) for name, count in counts.items()}
    numbers["time"] = f"{sum(case.took_s for case in cases):.3f}"
    root = ElementTree.Element("testsuites", numbers)
    element = ElementTree.SubElement(root, "testsuite", {"name": _text(suite), **numbers})
    for case in cases:
        shown = ElementTree.SubElement(
            element,
            "testcase",
            {
                "classname": _text(case.group),
                "name": _text(case.name),
                "time": f"{case.took_s:.3f}",
            },
        )
        if case.outcome != "passed":
            said = ElementTree.SubElement(
                shown, _ELEMENTS[case.outcome], {"message": _text(case.message)}
            )
            said.text = _text(case.detail)
    ElementTree.indent(root)
    body = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _text(text: str) -> str:
    return _NO_XML.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
