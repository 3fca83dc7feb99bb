"""Fixtures of the black-box tests: see harness.py."""
import os
import shutil
import subprocess
import sys
import tempfile

import pytest

TESTS = os.path.dirname(os.path.abspath(__file__))
# Shared code is in support/. A few tests use the fixtures of another test.
sys.path[:0] = [entry.path for entry in os.scandir(TESTS) if entry.is_dir()]

import harness  # noqa: E402 pylint: disable=wrong-import-position

DEFAULT_BUILD = os.path.join(os.path.dirname(TESTS), "build")


@pytest.fixture(scope="session")
def programs():
    """A directory that every user can enter, with the programs under test in bin/."""
    build = os.environ.get("POP3D_BUILD", DEFAULT_BUILD)
    os.umask(0o022)
    directory = os.path.realpath(tempfile.mkdtemp(prefix="pop3d-test."))
    os.chmod(directory, 0o755)
    binaries = os.path.join(directory, "bin")
    os.mkdir(binaries, 0o755)
    for name in ("pop3d", "pop3d-checkpw", "pop3d-checkpw-host", "pop3d-admin", "pop3d-tls"):
        if os.path.exists(os.path.join(build, name)):
            shutil.copy(os.path.join(build, name), binaries)
    subprocess.run(
        [os.environ.get("CC", "cc"), "-O2", "-D_GNU_SOURCE", "-o",
         os.path.join(binaries, "table-checkpw"), os.path.join(TESTS, "support", "table-checkpw.c")],
        check=True)
    yield harness.Lab(build, directory)
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def lab(programs):
    """The laboratory of one test. What it starts ends with the test and leaves no process running."""
    programs.servers = []
    yield programs
    for server in programs.servers:
        server.stop()
    gone = harness.retry_until(lambda: not programs.stray())
    assert gone, f"processes left behind: {programs.stray()}"


@pytest.fixture
def home(lab):
    """A user with an empty Maildir."""
    home = harness.Home(lab)
    yield home
    subprocess.run(["chmod", "-R", "u+rwX", home.path], check=False)
    shutil.rmtree(home.path, ignore_errors=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Adds to a failed test what its servers were sent and what they answered."""
    outcome = yield
    report = outcome.get_result()
    lab = item.funcargs.get("lab") if hasattr(item, "funcargs") else None
    if report.when != "call" or not report.failed or lab is None:
        return
    for server in lab.servers[-3:]:
        report.sections.append(("conversation", server.report()))
