"""What a mail client is to the matrix: a class with these methods, one object for one mailbox.

A client is used with its defaults. An option is set only where the client would do nothing without
it: the server's name, port and login, where mail is stored, the authority that the tests' certificates
are of. What a client adds to a message, or changes in it, is named in the class, and compared.
"""
import os
import pwd
import re
import signal
import subprocess

from harness import ROOT
from launch import find_program
from mail_lab import write_private

# who clients run as where the tests are root's: several do less for root, or refuse
USER = "games"
MODES = ("clear", "stls", "tls")  # port 110, port 110 with STLS, port 995


class ClientFailed(Exception):
    """A client ended with an error, or did not end."""


def as_user():
    """For subprocess: another user than root."""
    if not ROOT:
        return {}
    user = pwd.getpwnam(USER)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def give(path):
    if ROOT:
        user = pwd.getpwnam(USER)
        os.chown(path, user.pw_uid, user.pw_gid)


def kill_group(pid):
    """Kills a process that leads a session, and what it started."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


class Account:
    """What a client must know to fetch mail, and a directory of its own."""

    def __init__(self, server, home, work, mode="clear", authority=None):
        self.host, self.port = "localhost", server.port
        self.login, self.password = home.login, home.password
        self.work, self.mode, self.authority = work, mode, authority


class Client:
    """The common part. A client has at least poll() and stored()."""

    name = ""
    package = ""  # Debian's, which ./bootstrap clients installs
    program = ""  # what must be in PATH; "" where it is a module of an interpreter
    quick = False  # whether ./bootstrap check runs it
    modes = MODES
    keeps = deletes = True
    front = None  # a proxy that stands before the server
    tells = True  # of a wrong password, by its exit status or in words
    # A second poll that keeps is told apart from the first: by UIDL, Status or a mark of its own.
    remembers = True
    # message of the matrix -> what becomes of it in this client, with any server
    changes = {}
    # texts for the table
    adds = ""
    remarks = ""
    # steps that are not run, and why
    without = {}
    timeout = 60  # seconds for one run; 5,000 messages have five times as many
    slowly = 5

    def __init__(self, account):
        self.account = account
        self.work = account.work
        self.patience = self.timeout

    @classmethod
    def version(cls):
        """The version of the package that is installed, without epoch; None where it is not."""
        done = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}",
                               cls.package], capture_output=True, text=True, check=False)
        status, _, version = done.stdout.partition(" ")
        return version.partition(":")[2] or version if status == "installed" else None

    def path(self, *names):
        return os.path.join(self.work, *names)

    def write(self, name, text):
        """A file below the client's directory that only its owner may read."""
        path = self.work / name
        for parent in reversed(path.relative_to(self.work).parents[:-1]):
            self.directory(str(parent))
        write_private(path, text)
        give(path)
        return str(path)

    def environment(self):
        return {"HOME": str(self.work), "TERM": "dumb", "LC_ALL": "C.UTF-8", "USER": USER,
                "PATH": os.environ.get("PATH", os.defpath)}

    def directory(self, name):
        """A directory of the client's own."""
        path = self.work / name
        path.mkdir(mode=0o700, exist_ok=True)
        give(path)
        return str(path)

    def maildir(self, name):
        for sub in ("", "/new", "/cur", "/tmp"):
            self.directory(name + sub)
        return self.path(name)

    def run(self, *command, good=(0,), stdin=subprocess.DEVNULL, **how):
        """Runs a program to its end; ClientFailed with what it said, unless its status is good."""
        program = find_program(command[0], self.package)
        process = subprocess.Popen([program, *command[1:]], stdin=stdin,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=self.work,
                                   env=self.environment(), start_new_session=True, **as_user(), **how)
        try:
            said = process.communicate(timeout=self.patience)[0].decode("latin-1")
        except subprocess.TimeoutExpired as expired:
            kill_group(process.pid)
            said = process.communicate()[0].decode("latin-1")
            raise ClientFailed(f"{self.name} did not end in {self.patience} s: "
                               f"{said[-3000:]}") from expired
        if process.returncode not in good:
            raise ClientFailed(f"{self.name} ended with {process.returncode}: {said[-3000:]}")
        return said

    # -- what the driver calls

    def poll(self, keep, password=None):
        """Fetches what is new to the client, and keeps or deletes it on the server."""
        raise NotImplementedError

    def stored(self):
        """The messages that the client has stored so far, without what it says that it adds."""
        raise NotImplementedError

    def fetch_all(self):
        self.poll(keep=self.keeps)
        return self.stored()

    def keep_poll(self):
        """One more poll that keeps; returns how many messages are stored since the beginning."""
        self.poll(keep=True)
        return len(self.stored())

    def delete(self):
        self.poll(keep=False)
        return self.stored()

    def wrong_then_right(self, wrong):
        """A wrong password, and then the right one, as a user would: here in the settings."""
        try:
            self.poll(keep=self.keeps, password=wrong)
        except ClientFailed:
            pass
        else:
            if self.tells:
                raise ClientFailed(f"{self.name} does not say that the password is wrong")
        self.poll(keep=self.keeps)
        return self.stored()


# -- stores


def read_directory(path):
    """The contents of a directory's files, in the order of their names."""
    if not os.path.isdir(path):
        return []
    found = []
    for name in sorted(os.listdir(path)):
        with open(os.path.join(path, name), "rb") as file:
            found.append(file.read())
    return found


def read_maildir(path):
    return [octets for sub in ("new", "cur") for octets in read_directory(os.path.join(path, sub))]


def read_mbox(path):
    """The messages of an mbox file (a From_ line has a time in it), without the From_ line and the blank line after each."""
    if not os.path.exists(path):
        return []
    with open(path, "rb") as file:
        octets = file.read()
    parts = re.split(rb"(?:^|(?<=\n\n)|(?<=\n\r\n))From [^\n]*:\d\d [^\n]*\n", octets)
    return [re.sub(rb"\r?\n\Z", b"", part) for part in parts[1:]]


def drop_header(octets, *names):
    """A message without the header fields of these names, with their continuation lines."""
    head, blank, body = re.match(rb"(?s)((?:[^\r\n][^\n]*(?:\n|\Z))*)(\r?\n|\Z)?(.*)\Z",
                                 octets).groups()
    for name in names:
        head = re.sub(rb"(?mi)^" + name + rb":[^\n]*(?:\n[ \t][^\n]*)*\n?", b"", head)
    return head + (blank or b"") + body
