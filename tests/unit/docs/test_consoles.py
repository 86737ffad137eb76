"""The commands of a page are found, run and held to what stands below them."""

import os
from pathlib import Path

import pytest

from docs.consoles import Command, commands, run, snippets

PAGE = """
```console
$ name=world
$ echo "hello $name"
hello …
$ printf 'one\\ntwo\\nthree\\n'
one
…
three
```
```
$ this is no console
```
```python
print(1)
```
"""


def test_the_commands_of_a_page_are_found() -> None:
    assert [one.text for one in commands(PAGE)] == [
        "name=world",
        'echo "hello $name"',
        "printf 'one\\ntwo\\nthree\\n'",
    ]
    assert [one.expected for one in commands(PAGE)] == ["", "hello …", "one\n…\nthree"]
    assert snippets(PAGE) == ["print(1)\n"]


def test_they_are_run_in_one_session(tmp_path: Path) -> None:
    ran = run(
        commands(PAGE),
        folder=tmp_path,
        environment={"PATH": os.environ["PATH"]},
        replace={"world": "moon"},
        timeout_seconds=10,
    )
    assert [(one.is_shown_by(printed), printed.strip()) for one, printed in ran] == [
        (True, ""),
        (True, "hello moon"),
        (True, "one\ntwo\nthree"),
    ]


@pytest.mark.parametrize(
    ("expected", "printed", "is_shown"),
    [
        ("a … c", "a b c\n", True),
        ("a … c", "a b\nc", False),
        ("a", "a\nb", False),
        ("a\n…", "a\nb\nc", True),
        ("a\n…\nd", "a\nd", True),
        ("…\nb", "x\ny\nb", True),
        ("a.c", "abc", False),
        ("", "surprise", False),
    ],
)
def test_what_differs_from_run_to_run_may_differ_and_nothing_else(
    expected: str, printed: str, is_shown: bool
) -> None:
    assert Command("x", expected).is_shown_by(printed) is is_shown
