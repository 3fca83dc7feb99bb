"""Shared by the tests of superservers, clients and checkpassword programs.

Superservers really run, on loopback addresses and free ports, with the files of xinetd.d/ and
systemd/ if there are such files. Scripts stand in for checkpassword programs.
"""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys

import pytest

import harness
from harness import MAIL_GID, MAIL_UID, ROOT, retry_until

TREE = os.path.dirname(harness.TESTS)
# Debian permits only one installed inetd; ./bootstrap unpacks the others there.
UNPACKED = os.path.join(TREE, "build", "unpacked")
SBIN = ["/usr/local/sbin", "/usr/sbin", "/sbin"]


def find_program(name, package):
    """The path of a program, installed or unpacked. Without the program, the test is skipped."""
    places = os.environ.get("PATH", os.defpath).split(os.pathsep) + SBIN
    places.append(os.path.join(UNPACKED, package, "usr", "sbin"))
    path = shutil.which(name, path=os.pathsep.join(places))
    if path is None:
        pytest.skip(f"{name} is not installed (package {package}; ./bootstrap deps)")
    return path


def free_port(address="127.0.0.1"):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


def shipped(*names):
    with open(os.path.join(TREE, *names), encoding="utf-8") as file:
        return file.read()


def replace_once(pattern, replacement, text):
    """Edits a line of a shipped file, which must have exactly one such line."""
    text, count = re.subn(pattern, lambda match: replacement, text, flags=re.MULTILINE)
    assert count == 1, f"{count} lines match {pattern!r} in\n{text}"
    return text


def passed_on():
    """Settings that the sanitizers need in every process."""
    return [name for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS") if name in os.environ]


def checker_options(lab):
    """Options of pop3d for a test: failures take no time, the host has a known name."""
    options = ["--hostname", harness.HOST, "--fail-delay", "0"]
    for name in passed_on():
        options += ["--pass-env", name]
    return options


_hashes = {}


def password_file(lab, home):
    """A password file for pop3d-checkpw with the user of home, and a hash of its own."""
    program = os.path.join(lab.directory, "bin", "pop3d-checkpw")
    if home.password not in _hashes:
        made = subprocess.run([program, "--hash"], input=home.password + "\n", text=True,
                              capture_output=True, check=True)
        _hashes[home.password] = made.stdout.strip()
    path = home.path + ".pop3d-passwd"
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{home.login}:{_hashes[home.password]}:{MAIL_UID}:{MAIL_GID}:{home.path}\n")
    os.chmod(path, 0o600)
    return path


def checkpw(lab, home):
    """The command line of the real password program."""
    return [os.path.join(lab.directory, "bin", "pop3d-checkpw"), "-f", password_file(lab, home)]


class Script:
    """A checkpassword program written for one test, and the directory in which it leaves notes.

    In the text, @NOTES@ is that directory, @HOME@ the home of the user, and @SESSION@ a command
    that runs the rest of the command line there as the mail user.
    """

    def __init__(self, home, text, name="checker", python=False):
        self.notes = home.path + "." + name + ".notes"
        os.mkdir(self.notes)
        os.chmod(self.notes, 0o777)
        become = ""
        if ROOT:
            become = f"setpriv --reuid {MAIL_UID} --regid {MAIL_GID} --clear-groups --"
        session = (f'cd "{home.path}" || exit 111\n'
                   f'[ "$(id -u)" -ne 0 ] || exec {become} "$@"\nexec "$@"')
        for name_in_text, value in (("@NOTES@", self.notes), ("@HOME@", home.path),
                                    ("@SESSION@", session)):
            text = text.replace(name_in_text, value)
        first = f"#!{sys.executable} -IS\n" if python else "#!/bin/sh\n"
        self.path = home.script(name, first + text)

    def note(self, name):
        """What the program wrote, or None."""
        try:
            with open(os.path.join(self.notes, name), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def wait_for(self, name, enough=lambda octets: True):
        """The same, as soon as it exists."""
        found = retry_until(lambda: (octets := self.note(name)) is not None and enough(octets))
        assert found, f"the checker never wrote {name}: {os.listdir(self.notes)}"
        return self.note(name)


READS = "cat <&3 >@NOTES@/credentials\nexec 3<&-\n"
LETS_IN = READS + "@SESSION@\n"


def environment_of(octets):
    """A dictionary of the contents of /proc/PID/environ."""
    return dict(pair.split("=", 1) for pair in octets.decode().split("\0") if pair)


# -- processes


def status_of(pid):
    """The fields of /proc/PID/status, or None if the process has ended."""
    try:
        with open(f"/proc/{pid}/status", encoding="latin-1") as file:
            return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    except OSError:
        return None


def tree_of(pid):
    """The process and all its descendants."""
    found, queue = [], [pid]
    while queue:
        pid = queue.pop()
        found.append(pid)
        try:
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                    queue += [int(child) for child in file.read().split()]
        except OSError:
            pass
    return found


def table_of(pid):
    """One row for a process and each of its descendants: identity, root directory, program."""
    rows = []
    for each in tree_of(pid):
        status = status_of(each)
        try:
            program = os.readlink(f"/proc/{each}/exe")
            root = os.readlink(f"/proc/{each}/root")
        except OSError:
            continue
        if status is not None:
            rows.append({"pid": each, "parent": int(status["PPid"]), "root": root,
                         "uids": {int(uid) for uid in status["Uid"].split()},
                         "gids": {int(gid) for gid in status["Gid"].split()},
                         "groups": status["Groups"].split(), "program": program})
    return rows


def show(rows):
    return "\n".join("pid {pid} parent {parent} uids {uids} gids {gids} root {root} {program}"
                     .format(**row) for row in rows)


# -- superservers

# As /proc/net/tcp and tcp6 write them, on machines of either byte order.
LOOPBACK = {"0100007F", "7F000001", "0000000000000000FFFF00000100007F",
            "00000000000000000000FFFF7F000001", "00000000000000000000000001000000",
            "00000000000000000000000000000001"}


def listening_at(port):
    """The local addresses on which somebody listens at the port."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(table, encoding="ascii") as file:
            for line in file:
                address, _, number = line.split()[1].partition(":")
                if number == f"{port:04X}" and line.split()[3] == "0A":
                    found.add(address)
    return found


class Superserver:
    """A superserver that starts pop3d with these arguments for every connection."""

    name = ""
    package = ""
    ipv6 = True

    def __init__(self, lab, home, arguments, address="127.0.0.1"):
        self.lab, self.arguments, self.address = lab, arguments, address
        self.port = free_port(address)
        self.work = home.path + "." + self.name
        os.mkdir(self.work)
        os.chmod(self.work, 0o755)
        self.log_path = os.path.join(self.work, "log")
        self.environment = {**lab.environment(), "SECRET_OF_THE_SUPERSERVER": "1"}
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                env=self.environment, start_new_session=True)
        try:
            up = retry_until(lambda: self.listens() or self.process.poll() is not None, 10)
            assert up and self.process.poll() is None, f"{self.name} does not start: {self.log()}"
        except BaseException:
            self.stop()
            raise

    def command(self):
        raise NotImplementedError

    def write(self, name, text):
        path = os.path.join(self.work, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def listens(self):
        """True if it listens, on a loopback address and on no other."""
        addresses = listening_at(self.port)
        assert addresses <= LOOPBACK, f"{self.name} listens on {addresses}"
        return bool(addresses)

    def connect(self):
        return socket.create_connection((self.address, self.port), harness.TIMEOUT)

    def all_that_comes(self, octets=b""):
        """What a client receives that sends octets and reads to the end."""
        with self.connect() as client:
            if octets:
                client.sendall(octets)
            got = b""
            try:
                while piece := client.recv(65536):
                    got += piece
            except ConnectionResetError:
                pass
            return got

    def log(self):
        with open(self.log_path, encoding="latin-1") as file:
            return file.read()

    def stop(self):
        """Ends it and everything that it started, and waits until they have ended."""
        pids = tree_of(self.process.pid)
        for pid in reversed(pids):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        retry_until(lambda: not any(os.path.exists(f"/proc/{pid}/exe") for pid in pids), 5)


class Xinetd(Superserver):
    """xinetd with the shipped file, in which only address, port and paths are changed."""

    name = package = "xinetd"

    def command(self):
        program = find_program("xinetd", "xinetd")
        text = shipped("xinetd.d", "pop3")
        # With the IPv6 flag, an IPv4 address in bind would mean every address.
        bind = self.address if ":" in self.address else f"::ffff:{self.address}"
        text = replace_once(r"^\tport\s*= 110$", f"\tport = {self.port}\n\tbind = {bind}", text)
        text = replace_once(r"^\tserver\s*= \S+$", f"\tserver = {self.lab.pop3d}", text)
        text = replace_once(r"^\tserver_args\s*= .*$",
                            "\tserver_args = " + " ".join(self.arguments), text)
        text = replace_once(r"^\tlog_on_success\s*=.*$",
                            f"\tlog_type = FILE {self.log_path}\n\tlog_on_success = EXIT", text)
        if not ROOT:
            text = replace_once(r"^\tuser\s*= root$", f"\tuser = {MAIL_UID}", text)
        return [program, "-dontfork", "-f", self.write("xinetd.conf", text), "-filelog",
                self.log_path, "-pidfile", os.path.join(self.work, "pid")]


class Inetd(Superserver):
    """A line in the inetd.conf of either inetd."""

    listen6 = "{address}"

    def line(self):
        protocol, listen = "tcp", self.address
        if ":" in self.address:
            protocol, listen = "tcp6", self.listen6.format(address=self.address)
        user = "root" if ROOT else subprocess.check_output(["id", "-un"], text=True).strip()
        arguments = " ".join(["pop3d", *self.arguments])
        return self.write("inetd.conf", f"{listen}:{self.port} stream {protocol} nowait {user} "
                                        f"{self.lab.pop3d} {arguments}\n")


class OpenbsdInetd(Inetd):
    name = package = "openbsd-inetd"
    listen6 = "[{address}]"

    @staticmethod
    def find():
        program = find_program("inetd", "openbsd-inetd")
        if "openbsd" not in os.path.realpath(program) and not program.startswith(UNPACKED):
            program = os.path.join(UNPACKED, "openbsd-inetd", "usr", "sbin", "inetd")
            if not os.path.exists(program):
                pytest.skip("openbsd-inetd is not installed (./bootstrap deps)")
        return program

    def command(self):
        return [self.find(), "-d", self.line()]


class InetutilsInetd(Inetd):
    name = package = "inetutils-inetd"

    @staticmethod
    def find():
        return find_program("inetutils-inetd", "inetutils-inetd")

    def command(self):
        return [self.find(), "-d", "-p" + os.path.join(self.work, "pid"), self.line()]


class Tcpserver(Superserver):
    name = "tcpserver"
    package = "ucspi-tcp"
    ipv6 = False

    def command(self):
        return [find_program("tcpserver", "ucspi-tcp"), "-v", "-R", "-H", "-l0", self.address,
                str(self.port), self.lab.pop3d, *self.arguments]


class SystemdSocket(Superserver):
    """systemd-socket-activate instead of pop3d.socket, with ExecStart= of the unit."""

    name = "systemd-socket-activate"
    package = "systemd"

    def command(self):
        start = re.search(r"^ExecStart=-?(\S+) ", shipped("systemd", "pop3d@.service"),
                          re.MULTILINE)
        assert start and os.path.basename(start[1]) == "pop3d", "ExecStart= of the unit"
        listen = f"[{self.address}]" if ":" in self.address else self.address
        keep = [option for name in (*passed_on(), "SECRET_OF_THE_SUPERSERVER")
                for option in ("-E", name)]
        return [find_program("systemd-socket-activate", "systemd"), "-l", f"{listen}:{self.port}",
                "--inetd", "-a", *keep, self.lab.pop3d, *self.arguments]


SUPERSERVERS = [Xinetd, OpenbsdInetd, InetutilsInetd, Tcpserver, SystemdSocket]


# -- clients


def run_client(command, timeout=60, **how):
    """Runs a client program. Returns the finished process, with its output as octets."""
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8",
                   **how.pop("env", {})}
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout,
                          env=environment, **how)


def curl(server, home, path="", *options, password=None):
    """curl without the settings of the user who runs this. Returns its output."""
    command = [find_program("curl", "curl"), "-q", "-sS", "--noproxy", "*", "-u",
               f"{home.login}:{password or home.password}", *options,
               f"pop3://{server.address}:{server.port}/{path}"]
    done = run_client(command)
    assert done.returncode == 0, (f"{' '.join(command)}\nended with {done.returncode}: "
                                  f"{done.stderr.decode('latin-1')}\nserver: {server.log()}")
    return done.stdout
