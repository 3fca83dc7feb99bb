"""The functions that can run with the launch privileges: doc/SECURITY against the program."""
import os
import re
import shutil
import subprocess

import pytest

from jail import TREE
from launch import shipped
from test_confinement import indented


def documented():
    """File -> its functions, as the table of the document has them."""
    found, path = {}, None
    for line in indented("functions"):
        if row := re.match(r"(\S+\.c|C library)\s+(.*)", line):
            path, line = row.groups()
        found.setdefault(path, []).extend(line.strip(",").split(", "))
    return found


@pytest.fixture(scope="module")
def derived():
    if not all(map(shutil.which, ("gcc", "readelf"))):
        pytest.skip("gcc or readelf is not installed")
    # CC may be another compiler here, whose objects may look different
    environment = {name: value for name, value in os.environ.items() if name != "CC"}
    done = subprocess.run([os.path.join(TREE, "tests", "privileged")], env=environment,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found, path = {}, None
    for line in done.stdout.splitlines():
        path = line[8:32].strip() or path
        found.setdefault(path, []).extend(line[32:].strip(",").split(", "))
    return found


def test_the_functions_with_launch_privileges_are_those_of_the_document(derived):
    wrong = [f"{path}: {name}: only in {'the program' if name in derived.get(path, ()) else 'the document'}"
             for path in sorted({*derived, *documented()})
             for name in sorted({*derived.get(path, ())} ^ {*documented().get(path, ())})]
    assert not wrong, "tests/privileged --write puts this into doc/SECURITY:\n" + "\n".join(wrong)


def test_the_document_counts_them(derived):
    said = re.search(r"These (\d+) functions of pop3d", shipped("doc", "SECURITY"))
    count = sum(len(names) for path, names in derived.items() if path != "C library")
    assert int(said[1]) == count


def test_the_child_that_is_left_out_is_the_greeter():
    """Nobody else calls it, and it is called in the child only."""
    text = shipped("auth", "greeter.c")
    calls = re.findall(r"^(.*)\n.*\brun_greeter\(.*;$", text, re.MULTILINE)
    assert calls == ["\tif (g->pid == 0)"]
    assert re.search(r"^static _Noreturn void run_greeter\(", text, re.MULTILINE)
    assert "g->pid = fork();\n\tif (g->pid == 0)\n" in text
