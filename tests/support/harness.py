"""Shared by the black-box tests: Maildirs, checkers, and a server at the end of a connection.

The server under test has the rights that it has on real hosts. If root runs the tests, pop3d starts
as root and the session as an ordinary user. If an ordinary user runs them, everything is that
user's.
"""
import os
import select
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time

HOST = "caliban.example"
ROOT = os.getuid() == 0
MAIL_UID = 4000 if ROOT else os.getuid()
MAIL_GID = 4000 if ROOT else os.getgid()
TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TIMEOUT = 30  # Seconds until a test gives up waiting. Nothing that works takes as long.
SEEDS = os.path.join(TESTS, "seeds", "new")


def own(path):
    """Gives the file to the mail user."""
    if ROOT:
        os.chown(path, MAIL_UID, MAIL_GID, follow_symlinks=False)


def shorten(octets, most=800):
    octets = bytes(octets)
    if len(octets) <= most:
        return repr(octets)
    half = most // 2
    return f"{octets[:half]!r} ... ({len(octets)} octets) ... {octets[-half:]!r}"


def retry_until(condition, seconds=10.0, step=0.01):
    """Waits until condition() is true. Returns its last value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(step)


class Maildir:
    """A Maildir. Names are octets (or str), as a file system has them."""

    def __init__(self, path):
        self.path = os.fsencode(path)
        os.mkdir(self.path)
        own(self.path)
        for sub in (b"new", b"cur", b"tmp"):
            os.mkdir(self.at(sub))
            own(self.at(sub))

    def at(self, *parts):
        return os.path.join(self.path, *(os.fsencode(part) for part in parts))

    def add(self, name, content=b"Subject: x\n\ntext\n", sub="new", mtime=None):
        path = self.at(sub, name)
        with open(path, "wb") as file:
            file.write(content)
        os.chmod(path, 0o600)
        if mtime is not None:
            os.utime(path, (mtime, mtime))
        own(path)
        return path

    def add_all(self, messages, sub="new"):
        for name, content in messages.items():
            self.add(name, content, sub)
        return self

    def names(self, *subs):
        """The file names in new/ and cur/ (or the given subs), sorted."""
        subs = subs or ("cur", "new")
        return sorted(os.fsencode(sub) + b"/" + name
                      for sub in subs for name in os.listdir(self.at(sub)))

    def state(self):
        """Everything in the Maildir except the index: type, contents, mtime and inode by path."""
        found = {}
        for top, directories, files in os.walk(self.path):
            if top == self.path and b"pop3d" in directories:
                directories.remove(b"pop3d")
            for name in directories + files:
                path = os.path.join(top, name)
                st = os.lstat(path)
                content = None
                if stat.S_ISREG(st.st_mode):
                    with open(path, "rb") as file:
                        content = file.read()
                elif stat.S_ISLNK(st.st_mode):
                    content = os.readlink(path)
                mtime = None if stat.S_ISDIR(st.st_mode) else st.st_mtime_ns
                found[os.path.relpath(path, self.path)] = (
                    stat.S_IFMT(st.st_mode), content, mtime, st.st_ino)
        return found

    def contents(self):
        """The contents and mtimes of all messages, without their names, which QUIT must keep."""
        return sorted(entry[1:3] for path, entry in self.state().items()
                      if entry[1] is not None and path.startswith((b"new/", b"cur/")))


class Home:
    """A user's home directory with a Maildir, and the password table that names the user."""

    def __init__(self, lab, login="kermit", password="geheim"):
        self.lab = lab
        self.login, self.password = login, password
        self.path = tempfile.mkdtemp(prefix="home.", dir=lab.directory)
        os.chmod(self.path, 0o700)
        own(self.path)
        self.maildir = Maildir(os.path.join(self.path, "Maildir"))
        self.table = os.path.join(lab.directory, os.path.basename(self.path) + ".passwd")
        self.write_table()

    def write_table(self, maildir=None):
        fields = [self.login, self.password, self.path] + ([maildir] if maildir else [])
        with open(self.table, "wb") as table:
            table.write(os.fsencode("\t".join(fields) + "\n"))

    def add_seeds(self):
        for name in sorted(os.listdir(SEEDS)):
            with open(os.path.join(SEEDS, name), "rb") as file:
                self.maildir.add(name, file.read(), mtime=854538436)
        return self

    def script(self, name, text):
        """Writes an executable file beside the home directory."""
        path = self.path + "." + name
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o755)
        return path


APOP_CHECKER = """#!{python} -SE
import hashlib, os, sys
octets = b""
while len(octets) < 512 and (piece := os.read(3, 512)):
    octets += piece
os.close(3)
login, digest, stamp = octets.split(b"\\0")[:3]
with open(sys.argv[1], "rb") as table:
    user, password, home = table.read().rstrip(b"\\n").split(b"\\t")[:3]
right = hashlib.md5(stamp + password, usedforsecurity=False).hexdigest().encode()
if login != user or digest != right or not stamp.startswith(b"<"):
    sys.exit(1)
st = os.stat(home)
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(st.st_gid)
    os.setuid(st.st_uid)
os.chdir(home)
os.execv(sys.argv[2], sys.argv[2:])
"""


class Lab:
    """The programs under test, where every user can reach them, and the servers that were started."""

    def __init__(self, build, directory):
        self.build, self.directory = build, directory
        self.pop3d = os.path.join(directory, "bin", "pop3d")
        self.checker = os.path.join(directory, "bin", "table-checkpw")
        self.servers = []

    def environment(self):
        names = [n for n in ("ASAN_OPTIONS", "UBSAN_OPTIONS") if n in os.environ]
        return {"PATH": "/usr/local/bin:/usr/bin:/bin", **{n: os.environ[n] for n in names}}

    def start(self, argv, **how):
        server = Server(argv, environment={**self.environment(), **how.pop("env", {})}, **how)
        self.servers.append(server)
        return server

    def session(self, home, *options, maildir="Maildir", **how):
        """pop3d --session on the Maildir of home, as the mail user."""
        arguments = [self.pop3d, "--session", "--hostname", HOST, *options]
        if maildir is not None:
            arguments.append(maildir)
        how.setdefault("uid", MAIL_UID)
        return self.start(arguments, cwd=home.path, **how)

    def serve(self, home, *options, checker=None, **how):
        """pop3d before a checker: the table of home, or the given command."""
        arguments = [self.pop3d, "--hostname", HOST, "--fail-delay", "0"]
        for name in self.environment().keys() - {"PATH"}:
            arguments += ["--pass-env", name]
        command = checker or [self.checker, home.table]
        return self.start([*arguments, *options, "--", *command], cwd="/", **how)

    def login(self, home, *options, **how):
        """A connection through serve after USER and PASS. The reply to PASS comes next."""
        server = self.serve(home, *options, **how)
        server.line()
        server.ask(f"USER {home.login}")
        server.send(f"PASS {home.password}\r\n".encode())
        return server

    def stray(self):
        """The processes that run a program under test."""
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                program = os.readlink(f"/proc/{pid}/exe")
            except OSError:
                continue
            if program.startswith(self.directory + "/"):
                found[int(pid)] = program
        return found


def logged_in(lab, home, *options, **how):
    """A session that has answered PASS with +OK."""
    server = lab.session(home, *options, **how)
    first = server.line()
    assert first is not None and first.startswith("+OK"), first
    return server


def processes_of(session_id):
    """pid -> (parent, name) of the living processes of one login session."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="latin-1") as file:
                name, _, rest = file.read().partition("(")[2].rpartition(")")
        except OSError:
            continue
        fields = rest.split()
        if int(fields[3]) == session_id and fields[0] not in "ZX":
            found[int(pid)] = (int(fields[1]), name)
    return found


def channel(transport):
    """The test's descriptors (write, read) and the server's (stdin, stdout).

    "packets" is a pair of pipes in which each read returns what one write of the server wrote.
    """
    if transport in ("pipes", "packets"):
        server_in, our_out = os.pipe()
        our_in, server_out = os.pipe2(os.O_DIRECT if transport == "packets" else 0)
        return our_out, our_in, server_in, server_out
    if transport == "socketpair":
        # of a listener, and so with a name: what is on an unnamed socket counts as another host
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("")
            listener.listen()
            ours = socket.socket(socket.AF_UNIX)
            ours.connect(listener.getsockname())
            theirs = listener.accept()[0]
    else:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ours = socket.create_connection(listener.getsockname())
            theirs = listener.accept()[0]
        ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    ours, theirs = ours.detach(), theirs.detach()
    return ours, ours, theirs, theirs


class Server:
    """A running pop3d, and the client's end of its connection."""

    def __init__(self, argv, environment, transport="socketpair", uid=None, cwd="/",
                 stderr=None, wrapper=()):
        self.argv = argv
        self.sent, self.got = bytearray(), bytearray()
        self.taken = 0  # How much of got was looked at.
        self.at_eof = self.broken = False
        self.reads = 0  # In how many pieces got arrived.
        self.out_fd, self.in_fd, child_in, child_out = channel(transport)
        self.is_socket = self.out_fd == self.in_fd
        self.client_socket = os.readlink(f"/proc/self/fd/{child_in}")  # As /proc names it.
        self.log_file = tempfile.TemporaryFile() if stderr is None else None
        become = {}
        if ROOT and uid:
            become = {"user": uid, "group": MAIL_GID, "extra_groups": []}
        self.process = subprocess.Popen(
            [*wrapper, *argv], stdin=child_in, stdout=child_out,
            stderr=child_out if stderr == "client" else self.log_file,
            env=environment, cwd=cwd, start_new_session=True, **become)
        for fd in {child_in, child_out}:
            os.close(fd)
        for fd in {self.out_fd, self.in_fd}:
            os.set_blocking(fd, False)

    # -- the client's side

    def exchange(self, octets, enough, timeout=TIMEOUT):
        """Writes all octets and reads what arrives, until everything is written and enough() is
        true.
        """
        octets = memoryview(octets)
        self.sent += octets
        deadline = time.monotonic() + timeout
        while not self.at_eof and (octets and not self.broken or not enough()):
            poll = select.poll()
            poll.register(self.in_fd, select.POLLIN)
            if octets and not self.broken:
                both = select.POLLIN | select.POLLOUT
                poll.register(self.out_fd, both if self.is_socket else select.POLLOUT)
            left = deadline - time.monotonic()
            ready = dict(poll.poll(max(left, 0) * 1000))
            if not ready:
                raise AssertionError(f"no answer within {timeout} s\n{self.report()}")
            if octets and not self.broken and ready.get(self.out_fd, 0) & ~select.POLLIN:
                octets = octets[self._write(octets):]
            if self.is_socket and not ready[self.in_fd] & ~select.POLLOUT:
                continue
            if self.in_fd in ready:
                self._read()

    def _write(self, octets):
        try:
            return os.write(self.out_fd, octets)
        except BlockingIOError:
            return 0
        except (BrokenPipeError, ConnectionResetError):
            self.broken = True
            return 0

    def _read(self):
        try:
            piece = os.read(self.in_fd, 1 << 20)
        except BlockingIOError:
            return
        except ConnectionResetError:
            piece = b""
        self.got += piece
        self.reads += 1
        self.at_eof = not piece

    def send(self, octets):
        self.exchange(octets, lambda: True)

    def line(self, timeout=TIMEOUT):
        """The next line of the server, without CRLF; None at the end of the connection."""
        self.exchange(b"", lambda: self.got.find(b"\n", self.taken) >= 0, timeout)
        end = self.got.find(b"\n", self.taken)
        if end < 0:
            assert self.taken == len(self.got), f"a line without its end\n{self.report()}"
            return None
        text = bytes(self.got[self.taken:end + 1])
        assert text.endswith(b"\r\n"), f"a line without CR\n{self.report()}"
        self.taken = end + 1
        return text[:-2].decode("latin-1")

    def ask(self, command, timeout=TIMEOUT):
        """Sends a command. Returns the first line of the reply."""
        octets = command if isinstance(command, bytes) else command.encode("latin-1")
        self.send(octets + b"\r\n")
        return self.line(timeout)

    def body(self):
        """The lines of a multi-line reply, as sent, without the terminating line."""
        start = self.taken
        searched = start

        def complete():
            nonlocal searched
            if self.got[start:start + 3] == b".\r\n":
                return True
            end = self.got.find(b"\r\n.\r\n", max(searched - 5, start))
            searched = len(self.got) if end < 0 else end
            return end >= 0

        self.exchange(b"", complete)
        assert complete(), f"a reply without its end\n{self.report()}"
        if self.got[start:start + 3] == b".\r\n":
            self.taken = start + 3
            return b""
        end = self.got.find(b"\r\n.\r\n", start)
        self.taken = end + 5
        return bytes(self.got[start:end + 2])

    def ask_multi(self, command):
        """Sends a command. Returns the first line and the body of a multi-line reply."""
        first = self.ask(command)
        assert first is not None and first.startswith("+OK"), f"{first}\n{self.report()}"
        return first, self.body()

    def listing(self, command):
        """The lines of UIDL or LIST, as a dictionary from message number to the rest."""
        lines = self.ask_multi(command)[1].decode("latin-1").split("\r\n")[:-1]
        pairs = [line.split(" ", 1) for line in lines]
        assert len({number for number, _ in pairs}) == len(pairs), pairs
        return {int(number): rest for number, rest in pairs}

    def rest(self, timeout=TIMEOUT):
        """Everything that arrives until the server closes the connection."""
        self.exchange(b"", lambda: False, timeout)
        text = bytes(self.got[self.taken:])
        self.taken = len(self.got)
        return text

    def quit(self):
        """QUIT, its reply, and the end of the server."""
        reply = self.ask("QUIT")
        assert self.rest() == b"", self.report()
        self.ended()
        return reply

    def shutdown(self):
        """Half-closes the connection: nothing more is sent."""
        if not self.is_socket:
            os.close(self.out_fd)
            self.out_fd = -1
            return
        with socket.socket(fileno=os.dup(self.out_fd)) as half:
            try:
                half.shutdown(socket.SHUT_WR)
            except OSError:
                pass

    def close(self):
        """The client closes the connection."""
        for fd in {self.out_fd, self.in_fd} - {-1}:
            os.close(fd)
        self.out_fd = self.in_fd = -1

    # -- the server's side

    def ended(self, timeout=TIMEOUT):
        """Waits for the server and everything that it started. Returns its exit status."""
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still runs after {timeout} s\n{self.report()}") from None
        gone = retry_until(lambda: not self.processes(), 5)
        assert gone, f"left over: {self.processes()}\n{self.report()}"
        return status

    def processes(self):
        return processes_of(self.process.pid)

    def log(self):
        if self.log_file is None or self.log_file.closed:
            return ""
        return os.pread(self.log_file.fileno(), 1 << 20, 0).decode("latin-1")

    def report(self):
        return (f"command line: {' '.join(map(str, self.argv))}\n"
                f"sent: {shorten(self.sent)}\ncame: {shorten(self.got)}\n"
                f"log:\n{self.log()[-3000:]}")

    def _kill_all(self):
        left = self.processes()
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return left

    def stop(self):
        """Ends whatever still runs."""
        self.close()
        retry_until(lambda: not self._kill_all())
        self.process.wait()
        if self.log_file is not None:
            self.log_file.close()


def apop_checker(home):
    path = home.script("apop", APOP_CHECKER.format(python=sys.executable))
    return [path, home.table]


def hides_names(trace):
    """Whether strace could not read names in the memory of a process that confined itself."""
    return not ROOT and re.search(r"open(at2?)?\((\d+, )?0x", trace) is not None
