"""JUnit XML that any reader takes, whatever was found."""

from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from replayer.junit import Case, junit_xml
from tests.profiles import examples

CASES = st.lists(
    st.builds(
        Case,
        group=st.text(),
        name=st.text(),
        outcome=st.sampled_from(["passed", "failed", "skipped", "error"]),
        message=st.text(),
        detail=st.text(),
        took_s=st.floats(0, 1000),
    ),
    max_size=5,
)


@given(st.text(), CASES)
@settings(max_examples=examples(100))
def test_every_case_stands_in_it_and_is_counted(suite: str, cases: list[Case]) -> None:
    root = ElementTree.fromstring(junit_xml(suite, cases).encode())
    (element,) = root
    for counted in (root, element):
        outcomes = [case.outcome for case in cases]
        assert counted.get("tests") == str(len(cases))
        assert counted.get("failures") == str(outcomes.count("failed"))
        assert counted.get("errors") == str(outcomes.count("error"))
        assert counted.get("skipped") == str(outcomes.count("skipped"))
    tags = {"failed": ["failure"], "error": ["error"], "skipped": ["skipped"], "passed": []}
    assert [[child.tag for child in one] for one in element] == [
        tags[case.outcome] for case in cases
    ]


def test_what_xml_has_no_place_for_stands_as_an_escape() -> None:
    text = junit_xml(
        "s", [Case(group="g", name="a\x00b<&>", outcome="failed", detail="\x1b[0m\nü")]
    )
    (case,) = next(iter(ElementTree.fromstring(text)))
    assert case.get("name") == "a\\u0000b<&>"
    assert case[0].text == "\\u001b[0m\nü"
