"""Shared by the tests of the jail: programs with a part replaced, and processes as /proc shows
them.
"""
import ctypes
import os
import shutil
import subprocess

import pytest

import harness

SUPPORT = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(SUPPORT))
SANITIZED = "ASAN_OPTIONS" in os.environ
LANDLOCK_CREATE_RULESET = 444
NULL = "/dev/null"


def make(directory, *targets, **variables):
    """Runs the Makefile, with the programs of the tests, into a directory of its own.

    The variables of the make that runs these tests (make check-asan) are not for this one.
    """
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("O", "LIBC", "SANITIZE", "CHARDEN", "MFLAGS")
                   and not name.startswith("MAKE")}
    command = ["make", "-s", "-j2", "-C", TREE, "-f", "Makefile", "-f", "tests/support/doubles.mk",
               f"O={directory}", *(f"{name}={value}" for name, value in variables.items()),
               *(os.path.join(directory, target) for target in targets)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"


def build_doubles(programs):
    """Builds the programs that are pop3d with one part replaced, once, where every user can run
    them.
    """
    binaries = os.path.join(programs.directory, "bin")
    names = ("sandbox-probe", "hostile-greeter")
    if not os.path.exists(os.path.join(binaries, names[0])):
        made = os.path.join(programs.directory, "doubles")
        make(made, *names)
        for name in names:
            shutil.copy(os.path.join(made, name), binaries)
    return {name: os.path.join(binaries, name) for name in names}


def build_tls_probe(programs):
    """The same for pop3d-tls."""
    path = os.path.join(programs.directory, "bin", "tls-probe")
    if not os.path.exists(path):
        made = os.path.join(programs.directory, "doubles")
        make(made, "tls-probe")
        shutil.copy(os.path.join(made, "tls-probe"), path)
    return path


def compile_program(programs, name):
    """Compiles a program of one file in tests/."""
    path = os.path.join(programs.directory, "bin", name)
    if not os.path.exists(path):
        subprocess.run([os.environ.get("CC", "cc"), "-O2", "-D_GNU_SOURCE", "-o", path,
                        os.path.join(SUPPORT, name + ".c")], check=True)
    return path


def start_program(lab, program, home, *options, **how):
    """lab.serve with another program instead of pop3d."""
    real, lab.pop3d = lab.pop3d, program
    try:
        return lab.serve(home, *options, **how)
    finally:
        lab.pop3d = real


def finish(lab, server):
    """Ends a server before its test ends, for tests that start hundreds."""
    server.stop()
    lab.servers.remove(server)


def landlock_abi():
    """The version of Landlock's interface; 0 or less if there is none."""
    return ctypes.CDLL(None, use_errno=True).syscall(LANDLOCK_CREATE_RULESET, None, 0, 1)


# -- processes


def read_status(pid):
    with open(f"/proc/{pid}/status", encoding="latin-1") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def read_limits(pid):
    """Name of a limit -> (soft, hard), as texts."""
    found = {}
    with open(f"/proc/{pid}/limits", encoding="ascii") as file:
        for line in file.read().splitlines()[1:]:
            soft, hard = line[26:].split()[:2]
            found[line[:26].strip()] = (soft, hard)
    return found


def descriptors(pid):
    """Number of a descriptor -> what it is, in the kernel's words."""
    directory = f"/proc/{pid}/fd"
    if not harness.ROOT and not os.access(directory, os.R_OK):
        pytest.skip("only root may look at a confined process in /proc")
    return {int(number): os.readlink(os.path.join(directory, number))
            for number in os.listdir(directory)}


class Roles:
    """The processes of a connection: the monitor, and its greeter or session."""

    def __init__(self, server, program):
        self.monitor = server.process.pid
        self.name = os.path.basename(program)[:15]

    def child(self):
        """The only child, if it runs the program and has confined itself; otherwise None."""
        try:
            with open(f"/proc/{self.monitor}/task/{self.monitor}/children",
                      encoding="ascii") as file:
                pids = [int(pid) for pid in file.read().split()]
            if len(pids) != 1:
                return None
            status = read_status(pids[0])
        except OSError:
            return None
        ready = status["Name"] == self.name and status["NoNewPrivs"] == "1"
        # The filter is set last.
        return pids[0] if ready and (SANITIZED or status["Seccomp"] == "2") else None

    def wait_for_session(self):
        """The session, after the greeter has ended and the monitor has confined itself."""
        def both():
            pid = self.child()
            locked = pid is not None and read_status(self.monitor)["NoNewPrivs"] == "1"
            return pid if locked else None
        pid = harness.retry_until(both)
        assert pid, "no session, or a monitor that does not lock itself in"
        return pid
