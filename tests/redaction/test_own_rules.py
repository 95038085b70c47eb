"""Rules of the user's own: what they take out, and what is said of a file that is wrong."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.errors import CannotRead, RulesError
from recorder.model import FrameEntry, Note
from recorder.redaction.options import RedactionOptions
from recorder.redaction.own_rules import OwnTransform, Together, load_own_rules
from recorder.redaction.share import Pseudonyms, Share
from recorder.wire.frames import Frame
from tests.profiles import examples
from tests.redaction.share_support import KEY, OTHER_KEY, applied


def rules_of(tmp_path: Path, toml: str) -> Any:
    file = tmp_path / "rules.toml"
    file.write_text(toml, encoding="utf-8")
    return load_own_rules(file)


@pytest.fixture
def edited(tmp_path: Path) -> Any:
    """Applies a file of rules to a text."""

    def edit(toml: str, text: str) -> str:
        return applied(OwnTransform(rules_of(tmp_path, toml), Pseudonyms(KEY)), text)

    return edit


def path_rule(path: str, action: str = "mark") -> str:
    return f"[[path]]\npath = '''{path}'''\nrule = \"driver\"\naction = \"{action}\"\n"


TEXT = (
    '{"a":[{"b":{"driver":"Hans"},"n":[1,"two",{"x":3},true,null]}],"driver":12}'
    '~{"a":{"driver":[]}}'
)


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("$.driver", ":12}", ':"[redacted]"}'),
        ("$..driver", '"Hans"', '"[redacted]"'),
        ("$..driver", "[]", '"[redacted]"'),
        ("$.a[0].b.driver", '"Hans"', '"[redacted]"'),
        ("$.a[*]['b'].*", '"Hans"', '"[redacted]"'),
        ('$["a"][0]["b"]', '{"driver":"Hans"}', '"[redacted]"'),
        ("$.a[0].n[0]", "[1,", '["[redacted]",'),
        ("$.a[0].n[1]", '"two"', '"[redacted]"'),
        ("$.a[0].n[2].x", "3", '"[redacted]"'),
        ("$.a[0].n[3]", "true", '"[redacted]"'),
        ("$..x", "3", '"[redacted]"'),
        ("$..b..driver", '"Hans"', '"[redacted]"'),
    ],
)
def test_a_path_finds_its_value(edited: Any, path: str, old: str, new: str) -> None:
    expected = TEXT.replace(old, new)
    if path == "$..driver":
        expected = re.sub(r'"driver":("Hans"|12|\[\])', '"driver":"[redacted]"', TEXT)
    assert edited(path_rule(path), TEXT) == expected


@pytest.mark.parametrize(
    "path", ["$.b", "$.a.b", "$.a[1]", "$.a[0].driver", "$.a[0].n[4]", "$.a[9]", "$.*.*.*.*.*.*"]
)
def test_a_path_leaves_what_it_does_not_lead_to(edited: Any, path: str) -> None:
    assert edited(path_rule(path), TEXT) == TEXT


def test_actions(edited: Any) -> None:
    text = '{"driver":"Hans","n":5}'
    assert edited(path_rule("$.driver", "drop"), text) == '{"driver":null,"n":5}'
    assert edited(path_rule("$.n", "drop"), text) == '{"driver":"Hans","n":null}'
    pseudonym = json.loads(edited(path_rule("$.*", "pseudonym"), text))
    assert re.fullmatch("driver-[a-z2-7]{8}", pseudonym["driver"])
    assert isinstance(pseudonym["n"], int)
    assert pseudonym["n"] != 5


def test_a_pseudonym_of_a_rule_goes_by_value_and_key(tmp_path: Path) -> None:
    rules = rules_of(tmp_path, path_rule("$..driver", "pseudonym"))
    one, same, other = (
        applied(OwnTransform(rules, Pseudonyms(key)), text)
        for key, text in (
            (KEY, '{"driver":"M\\u00fcller"}'),
            (KEY, '{"driver":"Müller"}'),
            (OTHER_KEY, '{"driver":"Müller"}'),
        )
    )
    assert one == same != other


def test_a_pattern_takes_its_first_group_or_all_of_it(edited: Any) -> None:
    pattern = "[[pattern]]\nrule = \"order\"\npattern = '''%s'''\n"
    assert edited(pattern % "Order ([0-9]+)", "Order 12, Order 13") == (
        "Order [redacted], Order [redacted]"
    )
    assert edited(pattern % "Order [0-9]+", "Order 12!") == "[redacted]!"
    assert edited(pattern % "(?i)[a-z]+", "[redacted] x") == "[redacted] [redacted]"
    assert edited(pattern % "Order [0-9]+" + 'action = "drop"\n', "x Order 12!") == "x !"


json_values: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=12,
)
STEPS = st.lists(
    st.sampled_from([".a", ".b", "..a", "..b", "[0]", "[1]", "[*]", ".*", "..*", "['c']"]),
    min_size=1,
    max_size=3,
).map(lambda steps: "$" + "".join(steps))


def dropped(value: Any, paths: list[list[str]]) -> Any:
    """`value` with null where one of `paths`, steps from here on, leads (RFC 9535, slow)."""
    if [] in paths:
        return None

    def below(key: str) -> list[list[str]]:
        found = []
        for step, *rest in paths:
            if step.startswith(".."):
                found.append([step, *rest])
            if step.strip(".[]'") in ("*", key):
                found.append(rest)
        return found

    # No key is a number here, so that an index and a key are not mixed up.
    if isinstance(value, dict):
        return {key: dropped(one, below(key)) for key, one in value.items()}
    if isinstance(value, list):
        return [dropped(one, below(str(index))) for index, one in enumerate(value)]
    return value


@settings(max_examples=examples(100), deadline=None)
@given(json_values.filter(lambda value: isinstance(value, dict | list)), STEPS, st.booleans())
def test_a_path_leads_where_a_plain_walk_does(value: Any, path: str, ascii_only: bool) -> None:
    steps = re.findall(r"\.\.[a*]|\.\.b|\.\w|\.\*|\[\*\]|\[\d\]|\['c'\]", path)
    with tempfile.TemporaryDirectory() as folder:
        rules = rules_of(Path(folder), path_rule(path, "drop"))
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert json.loads(applied(OwnTransform(rules), text)) == dropped(value, [steps])


def test_beside_share_the_wider_one_counts(tmp_path: Path) -> None:
    own = OwnTransform(
        rules_of(tmp_path, "[[pattern]]\npattern = 'Meier'\nrule = 'family'\n"), Pseudonyms(KEY)
    )
    both = Together(own, Share(KEY))
    name = Pseudonyms(KEY).of("name", "Hans Meier")
    assert applied(both, '{"name":"Hans Meier","x":"Meier"}') == (
        f'{{"name":"{name}","x":"[redacted]"}}'
    )
    # At the same place the user's own.
    assert applied(both, '{"name":"Meier"}') == '{"name":"[redacted]"}'


def frame(text: str) -> FrameEntry:
    made = Frame.make(1, text.encode())
    return FrameEntry.of(made, connection=1, sender="server", offset_ns=1)


def test_rules_apply_beside_secrets_in_every_spelling_and_are_counted(tmp_path: Path) -> None:
    toml = path_rule("$..driver") + "[[pattern]]\npattern = 'Order \"\\d+\"'\nrule = 'order'\n"
    redactor = RedactionOptions("secrets", rules=rules_of(tmp_path, toml)).redactor()
    inner = json.dumps({"driver": 'Hans "X"', "password": "geheim123"})
    [one] = redactor.feed(frame(json.dumps({"log": inner, "x": 'Order "12"'})))
    assert isinstance(one, FrameEntry)
    assert one.text is not None
    value = json.loads(one.text)
    assert value["x"] == "[redacted]"
    assert json.loads(value["log"]) == {"driver": "[redacted]", "password": "[redacted]"}
    [note] = redactor.feed(Note(offset_ns=2, text="see /x?q=Order%20%2212%22&a=1"))
    assert isinstance(note, Note)
    assert note.text == "see /x?q=[redacted]&a=1" or "%5Bredacted%5D" in note.text
    assert redactor.counts["driver"] == 1
    assert redactor.counts["order"] == 2


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("", "holds no rule"),
        ("a = [", "not a TOML file"),
        ("path = 5", r"expected \[\[path\]\]"),
        ("[path]\na = 1", r"expected \[\[path\]\]"),
        ("[[paths]]\na = 1", "there is no 'paths'"),
        ("[[path]]\nrule = 'x'", r"\[\[path\]\] 1: 'path' is missing"),
        ("[[path]]\npath = '$.a'", "'rule' is missing"),
        (
            "[[path]]\npath = '$.a'\nrule = 'x'\nkeep = 'y'",
            "there is no 'keep'; expected path, rule",
        ),
        ("[[path]]\npath = 5\nrule = 'x'", "path: expected a string, found 5"),
        ("[[path]]\npath = '$.a'\nrule = 'A b'", "rule: expected up to 31 of a-z"),
        (
            "[[path]]\npath = '$.a'\nrule = 'x'\naction = 'hide'",
            "expected one of mark, pseudonym, dr",
        ),
        (path_rule("a.b"), r"expected \$, then"),
        (path_rule("$"), "would take out every JSON text"),
        (path_rule("$.a[?(@.x)]"), r"a filter, slice or list is not supported, from '\[\?"),
        (path_rule("$.a[1:2]"), "a filter, slice or list is not supported"),
        (path_rule("$.a-b"), "not supported, from '-b' on"),
        ("[[pattern]]\npattern = '('\nrule = 'x'", "is no pattern of Python's re"),
        ("[[pattern]]\npattern = 'a*'\nrule = 'x'", "matches the empty text"),
        ("[[pattern]]\npattern = '$'\nrule = 'x'", "matches the empty text"),
    ],
)
def test_a_wrong_file_is_told_with_what_was_expected(tmp_path: Path, toml: str, said: str) -> None:
    with pytest.raises(RulesError, match=said) as error:
        rules_of(tmp_path, toml)
    assert "rules.toml: " in str(error.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CannotRead, match="the rules cannot be read: No such file"):
        load_own_rules(tmp_path / "none.toml")


def test_any_depth_in_a_deep_text_takes_linear_room(edited: Any) -> None:
    # Each `..` doubles what is kept of a level, were equal states not one.
    text = '{"a":' * 3000 + "1" + "}" * 3000
    assert edited(path_rule("$..a..a..a..b"), text) == text
