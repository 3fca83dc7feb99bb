"""--help and the manual pages name the same options, with the same values."""
import os
import re
import subprocess

import pytest

from launch import shipped

PROGRAMS = ("pop3d", "pop3d-tls", "pop3d-checkpw", "pop3d-admin")


def help_of(lab, name):
    program = os.path.join(os.path.dirname(lab.pop3d), name)
    if not os.path.exists(program):
        pytest.skip(f"{name} is not built")
    done = subprocess.run([program, "--help"], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=True)
    return done.stdout


def options_of_help(text):
    return re.findall(r"^  (?:-\w, )?--([a-z0-9-]+)", text, re.MULTILINE)


def options_of_manual(name):
    tags = re.findall(r"^\.It (Fl .*)$", shipped("doc", name + ".8"), re.MULTILINE)
    return [option for tag in tags for option in re.findall(r"Fl -([a-z0-9-]+)", tag)]


@pytest.mark.parametrize("name", PROGRAMS)
def test_help_and_manual_name_the_same_options(lab, name):
    assert sorted(options_of_help(help_of(lab, name))) == sorted(options_of_manual(name))


@pytest.mark.parametrize("name", PROGRAMS)
def test_options_stand_in_alphabetical_order(lab, name):
    options = options_of_help(help_of(lab, name))
    assert options == sorted(options)


@pytest.mark.parametrize("name", PROGRAMS)
def test_lines_of_help_fit_a_terminal(lab, name):
    for line in help_of(lab, name).splitlines():
        assert len(line) <= 90, line
