"""Options that there are not."""

from __future__ import annotations

import pytest

from simkit.cli.main import main


@pytest.mark.parametrize(
    ("option", "meant"),
    [
        ("--wrokers", "did you mean -n N?"),
        ("-j", "did you mean -n N?"),
        ("--dry-run", "did you mean --co?"),
        ("--exitfirst", "did you mean -x?"),
        ("--multirun", "did you mean --product NAME=V,V…?"),
        ("--seeed=3", "did you mean --seed?"),
        ("--resume", "type the same command again without it: simkit goes on where it was"),
    ],
)
def test_an_unknown_option_is_answered_with_one_and_not_with_all(study, capsys, option, meant):
    assert main([option]) == 4
    said = capsys.readouterr().err.splitlines()
    word = option.partition("=")[0]
    assert said[0].startswith(f"simkit: unrecognized arguments: {word}")
    assert said[1:] == [f"    {meant}", "    simkit --help lists the options"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--zzz"], ["simkit: unrecognized arguments: --zzz"]),
        (["-n"], ["simkit: argument -n: expected one argument"]),
        (["show"], ["usage: simkit show [-h] [--run N] [--provenance] [--json] FILE [NAME]",
                    "simkit show: the following arguments are required: FILE"]),
        (["show", "f", "--rum=3"], ["usage: simkit show [-h] [--run N] [--provenance] [--json] FILE [NAME]",
                                       "simkit show: unrecognized arguments: --rum=3", "    did you mean --run?"]),
    ],
)  # fmt: skip
def test_options_that_cannot_be_read_are_told_in_few_lines(study, capsys, arguments, said):
    assert main(arguments) == 4
    *lines, last = capsys.readouterr().err.splitlines()
    assert lines == said
    assert last.endswith("--help lists the options")
