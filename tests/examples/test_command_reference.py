"""docs/commands.md says what the commands say."""

from __future__ import annotations

import re

import click
import pytest

from tests.examples.command_reference import PAGE, PROGRAMS, RENEW, contexts, reference

ALL = [one for program in PROGRAMS for one in contexts(program, program.name or "")]


@pytest.fixture(scope="module")
def page() -> str:
    return reference()


def test_the_page_is_current(page: str) -> None:
    assert PAGE.read_text(encoding="utf-8") == page, f"an option changed: `{RENEW}` renews {PAGE}"


@pytest.mark.parametrize("columns", ["20", "300"])
def test_the_page_depends_on_no_terminal(
    page: str, columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert reference() == page


def test_every_option_of_every_command_stands_in_its_section(page: str) -> None:
    sections = dict(re.findall(r"^##+ (.*)\n((?:(?!#).*\n)*)", page, re.M))
    for context in ALL:
        listed = " ".join(re.findall(r"^- `(.*?)`: ", sections[context.command_path], re.M))
        wanted = {
            name
            for option in context.command.params
            if isinstance(option, click.Option)
            for name in (*option.opts, *option.secondary_opts)
        }
        assert set(re.findall(r"(?<![\w-])--?\w[\w-]*", listed)) == wanted, context.command_path


def test_the_contents_lead_to_every_section_and_to_nothing_else(page: str) -> None:
    titles = re.findall(r"^##+ (.*)$", page, re.M)
    assert titles == [one.command_path for one in ALL]
    assert re.findall(r"\]\(#(.*?)\)", page) == [title.replace(" ", "-") for title in titles]


def test_the_page_has_nothing_but_text_and_no_session_to_be_run(page: str) -> None:
    assert page.replace("\n", "").isprintable()
    assert "```console" not in page


def test_what_markdown_would_take_for_more_than_text_is_text() -> None:
    command = click.Command("one", help="*a* _b_ <c> d_e `*_<`")
    assert "\n" + r"\*a\* \_b\_ \<c> d_e `*_<`" + "\n" in reference([command])


def test_choices_behind_another_name_and_options_for_several_times_are_told() -> None:
    kind = click.Option(
        ["--kind"], metavar="KIND", type=click.Choice(["a", "b"]), multiple=True, help="Which."
    )
    text = reference([click.Command("one", params=[kind])])
    assert "- `--kind KIND`: Which. [one of a, b] [may be given several times]\n" in text
