"""The jail: what each process is, from /proc, and what each cannot do, tried from inside.

Both are compared with the tables in doc/SECURITY.
"""
import errno
import os
import re
import shutil
import subprocess

import pytest

import harness
import jail
import transcript
from harness import MAIL_GID, MAIL_UID, ROOT, retry_until
from launch import shipped
from test_checkpassword import syslog  # noqa: F401 (a fixture)

SECURITY = shipped("doc", "SECURITY")
AS_ROOT, AS_USER = "started as root", "started by a user"
CAP_KILL = 1 << 5
GROUPS = ["4", "27"]
# debugging: a greeter with --debug. engine: see test_tls_confinement.py.
PROCESSES = ["greeter", "debugging", "session", "monitor", "engine"]
SOCKETS = ["greeter", "monitor", "engine", "keeper", "program", "control"]  # to these
LIMITS = {"core": "Max core file size", "files": "Max open files",
          "processes": "Max processes", "file-size": "Max file size"}


def indented(title):
    """The lines below a title of the document with a deeper indentation, without that indentation."""
    found = re.search(rf"^( *){re.escape(title)}\n((?:\1 +.*\n)+)", SECURITY, re.MULTILINE)
    assert found, f"doc/SECURITY has no table {title!r}"
    return [line.strip() for line in found[2].splitlines()]


def process_table(title, column):
    """Row -> value of one process."""
    heading, *rows = [re.split(r"\s{2,}", line) for line in indented(title)]
    assert heading == [AS_ROOT, AS_USER], heading
    return {row[0]: row[1:][column == AS_USER and len(row) > 2] for row in rows}


def attempt_table():
    """Attempt -> its outcome in each process."""
    heading, *rows = [line.split() for line in indented("attempts")]
    assert heading == PROCESSES, heading
    return {row[0]: dict(zip(heading, row[1:])) for row in rows}


@pytest.fixture(params=[AS_ROOT, AS_USER] if ROOT else [AS_USER])
def column(request):
    return request.param


@pytest.fixture
def uid(column):
    """The user that the superserver runs as."""
    return None if column == AS_ROOT else MAIL_UID


# -- from outside


class Seen:
    """One process, in the words of doc/SECURITY."""

    def __init__(self, pid, server, home, column):
        self.pid, self.server, self.home, self.column = pid, server, home, column
        self.status = jail.read_status(pid)
        self.started_as = 0 if column == AS_ROOT else (MAIL_UID if ROOT else os.getuid())
        self.started_gid = 0 if column == AS_ROOT else (MAIL_GID if ROOT else os.getgid())

    def identity(self, row):
        numbers = set(self.status[row.capitalize()].split())
        launch = str(self.started_as if row == "uid" else self.started_gid)
        mail = str(MAIL_UID if row == "uid" else MAIL_GID)
        if numbers == {launch}:
            return {"launch", launch} | ({"mail"} if launch == mail else set())
        return {"mail"} if numbers == {mail} else numbers

    def groups(self):
        here = self.status["Groups"].split()
        launch = list(map(str, sorted(os.getgroups())))
        if ROOT:  # The harness drops the groups when it starts a server as another user.
            launch = GROUPS if self.column == AS_ROOT else []
        found = {"none"} if not here else set()
        return found | ({"launch"} if here == launch else set())

    def directory(self, name):
        path = os.readlink(f"/proc/{self.pid}/{name}")
        if os.listdir(f"/proc/{self.pid}/{name}/") == [] and path.endswith(" (deleted)"):
            return {"empty"}
        return {"/": {"launch"}, self.home.path: {"home"}}.get(path, {path})

    def capabilities(self):
        held = int(self.status["CapEff"], 16) | int(self.status["CapPrm"], 16)
        if held == int(jail.read_status(os.getpid())["CapEff"], 16) and held != 0:
            return {"launch"}
        return {0: {"none"}, CAP_KILL: {"kill"}}.get(held, {hex(held)})

    def memory(self):
        """A process that cannot be dumped belongs to root in /proc, whoever runs it."""
        return {"private" if os.stat(f"/proc/{self.pid}/mem").st_uid == 0 else "readable"}

    def limit(self, row):
        here = jail.read_limits(self.pid)[LIMITS[row]]
        launch = jail.read_limits(os.getpid())[LIMITS[row]]
        found = {here[0]} if here[0] == here[1] else set()
        return found | ({"launch"} if here == launch else set())

    def value(self, row):
        """All the words that are true of a row."""
        if row in ("uid", "gid"):
            return self.identity(row)
        if row in LIMITS:
            return self.limit(row)
        if row in ("root", "directory"):
            return self.directory({"directory": "cwd"}.get(row, row))
        flags = {"no-new-privs": "NoNewPrivs", "seccomp": "Seccomp"}
        if row in flags:
            return {{"0": "no", "1": "yes", "2": "yes"}[self.status[flags[row]]]}
        return {"groups": self.groups, "capabilities": self.capabilities,
                "memory": self.memory}[row]()

    def descriptor_kind(self, target):
        log = os.readlink(f"/proc/self/fd/{self.server.log_file.fileno()}")
        kinds = {jail.NULL: "null", log: "log", self.server.client_socket: "client",
                 os.fsdecode(self.home.maildir.path): "maildir"}
        if target in kinds:
            return kinds[target]
        if target.startswith(os.fsdecode(self.home.maildir.path) + "/"):
            return "maildir/" + os.path.relpath(target, os.fsdecode(self.home.maildir.path))
        return "socket" if target.startswith("socket:") else target

    def check_descriptors(self, table):
        """The open descriptors are those of the rows, no more and no less."""
        held = {number: self.descriptor_kind(target)
                for number, target in jail.descriptors(self.pid).items()}
        wanted = {}
        for row in [row for row in table if row.startswith("descriptor ") and row[-1] != "*"]:
            first, _, last = row.partition(" ")[2].partition("-")
            wanted.update({number: table[row] for number in range(int(first),
                                                                  int(last or first) + 1)})
        others = sorted(kind for number, kind in held.items() if number not in wanted)
        named = table["descriptor *"].split(", ") if "descriptor *" in table else []
        assert {n: held.get(n, "closed") for n in wanted} == wanted, held
        assert others == sorted("socket" if kind in SOCKETS else kind for kind in named), held


def check_process(title, pid, server, home, column):
    table = process_table(title, column)
    seen = Seen(pid, server, home, column)
    wrong = []
    for row, said in table.items():
        if row.startswith("descriptor "):
            continue
        if row == "seccomp" and jail.SANITIZED:
            continue
        if row in ("root", "directory") and not may_look_into(pid):
            continue
        true = seen.value(row)
        if said not in true:
            wrong.append(f"{row}: doc/SECURITY says {said}, /proc says {true}")
    assert not wrong, f"{title}, {column}:\n" + "\n".join(wrong)
    if may_look_into(pid):
        seen.check_descriptors(table)
    return seen


def may_look_into(pid):
    try:
        os.readlink(f"/proc/{pid}/cwd")
        return True
    except PermissionError:
        return False


def start_connection(lab, home, uid, **how):
    home.add_seeds()
    if ROOT and uid is None:  # A superserver with further groups.
        how["wrapper"] = [*how.get("wrapper", ()), "setpriv", "--groups", ",".join(GROUPS), "--"]
    server = lab.serve(home, uid=uid, transport="tcp", **how)
    assert server.line().startswith("+OK "), server.report()
    return server, jail.Roles(server, lab.pop3d)


def test_processes_before_login_are_what_the_document_says(lab, home, uid, column):
    server, roles = start_connection(lab, home, uid)
    greeter = retry_until(roles.child)
    assert greeter, server.report()
    check_process("monitor, before login", roles.monitor, server, home, column)
    check_process("greeter", greeter, server, home, column)


def test_a_greeter_has_no_handlers_and_nothing_blocked(lab, home, uid):
    """The monitor's handlers would write into the greeter's memory, and not end it."""
    server, roles = start_connection(lab, home, uid)
    greeter = retry_until(roles.child)
    assert greeter, server.report()
    with open(f"/proc/{greeter}/status", encoding="ascii") as file:
        status = dict(line.split(":\t") for line in file if line.startswith("Sig"))
    if not jail.SANITIZED:
        assert int(status["SigCgt"], 16) == 0
    assert int(status["SigBlk"], 16) == 0
    # what ran the tests may have left one of the C library's own signals, from 32 on, ignored
    assert int(status["SigIgn"], 16) & (1 << 31) - 1 == 1 << 12, "SIGPIPE only"


def test_processes_after_the_login_are_what_the_document_says(lab, home, uid, column):
    server, roles = start_connection(lab, home, uid)
    server.ask(f"USER {home.login}")
    assert server.ask(f"PASS {home.password}").startswith("+OK"), server.report()
    session = roles.wait_for_session()
    check_process("session", session, server, home, column)
    check_process("monitor, after the login", roles.monitor, server, home, column)
    assert server.quit().startswith("+OK"), server.report()


def in_a_chroot():
    try:
        return not os.path.samefile("/", "/proc/1/root")
    except PermissionError:
        return False


@pytest.mark.skipif(in_a_chroot(), reason="in a chroot, names of files of another mount namespace "
                                          "are not what they are inside")
def test_processes_whose_standard_error_is_the_client_hold_no_more(lab, home, syslog):  # noqa: F811
    """As under xinetd: the log is a socket, and the session's standard error is a pipe."""
    server, roles = start_connection(lab, home, None, stderr="client", wrapper=syslog.wrapper)
    greeter = retry_until(roles.child)
    client = server.client_socket
    held = jail.descriptors(greeter)
    assert (held.pop(0), held.pop(1), held.pop(2)) == (client, client, jail.NULL)
    assert len(held) == 1 and all(target.startswith("socket:") for target in held.values()), held
    server.ask(f"USER {home.login}")
    assert server.ask(f"PASS {home.password}").startswith("+OK"), server.report()
    held = jail.descriptors(roles.wait_for_session())
    assert (held.pop(0), held.pop(1)) == (client, client)
    assert held.pop(2).startswith("pipe:")
    maildir = os.fsdecode(home.maildir.path)
    others = [target for target in held.values() if not target.startswith(maildir)]
    assert len(others) == 1 and others[0].startswith("socket:") and others != [client], held
    held = jail.descriptors(roles.monitor)
    others = sorted(target.partition(":")[0] for target in held.values()
                    if target not in (client, jail.NULL))
    assert others == ["pipe", "socket"], held


# -- from inside


def errno_name(number):
    return errno.errorcode.get(number, str(number))


REFUSALS = {"EACCES", "EPERM", "EXDEV"}


def fill_for_attempts(lab, home):
    """The targets of the attempts of sandbox-probe.c, all of them open to the mail user."""
    maildir = home.maildir
    maildir.add("1.a")
    maildir.add("2.b:2,", sub="cur")
    maildir.add("stale", sub="tmp")
    os.mkdir(maildir.at("pop3d"))
    harness.own(maildir.at("pop3d"))
    maildir.add("old", sub="pop3d")
    # unique ids that were taken over from another server: none, and that is known for good
    for path, content in ((maildir.at("subscriptions"), b"secret"),
                          (os.path.join(home.path, "diary"), b"secret"),
                          (maildir.at("pop3d-uids"), b"pop3d-uids 1 1cb441577fb71209 0 courier\n")):
        with open(path, "wb") as file:
            file.write(content)
        harness.own(path)
    for folder in (".Trash", ".Sent"):
        for path in (maildir.at(folder), maildir.at(folder, "new"), maildir.at(folder, "cur")):
            os.mkdir(path)
            harness.own(path)
        maildir.add("3.c:2,", sub=f"{folder}/cur")
    os.symlink("/etc/passwd", maildir.at("cur", "symlink"))
    os.mkdir(maildir.at("cur", "directory"))
    harness.own(maildir.at("cur", "directory"))
    other = os.path.join(lab.directory, "other")
    if not os.path.exists(other):
        os.mkdir(other, 0o755)
        os.chmod(harness.Maildir(os.path.join(other, "Maildir")).add("1.a"), 0o644)


@pytest.fixture(scope="session")
def probe(programs):
    return jail.build_doubles(programs)["sandbox-probe"]


class Attempts:
    """Makes one attempt after another, each in a process of its own."""

    def __init__(self, lab, program, uid):
        self.lab, self.program, self.uid = lab, program, uid
        self.seen = {}  # attempt -> process -> outcome

    def connect(self, name, *options):
        home = harness.Home(self.lab)
        fill_for_attempts(self.lab, home)
        server = jail.start_program(self.lab, self.program, home, "--pass-env", "TRY_MONITOR",
                                    *options, uid=self.uid, env={"TRY_MONITOR": name})
        assert server.line().startswith("+OK "), server.report()
        return home, server

    def outcome(self, server, name, dead):
        reply = server.ask("TRY " + name)
        if reply is None:
            server.ended()
            line = retry_until(lambda: re.search(rf"{dead}.* signal=31\b", server.log()), 2)
            return "killed" if line else "died without a word in the log"
        if reply == "+OK works":
            return "works"
        assert reply.startswith("+OK errno "), server.report()
        return errno_name(int(reply.rpartition(" ")[2]))

    def before_login(self, name, *options):
        home, server = self.connect(name, *options)
        outcome = self.outcome(server, name, "greeter-died")
        jail.finish(self.lab, server)
        shutil.rmtree(home.path)
        return outcome

    def make(self, name):
        seen = {"greeter": self.before_login(name),
                "debugging": self.before_login(name, "--debug")}
        home, server = self.connect(name)
        server.ask(f"USER {home.login}")
        assert server.ask(f"PASS {home.password}").startswith("+OK"), server.report()
        tried = retry_until(lambda: re.search(rf"tried name={name} errno=(\d+)", server.log()))
        assert tried, server.report()
        seen["monitor"] = "works" if tried[1] == "0" else errno_name(int(tried[1]))
        seen["session"] = self.outcome(server, name, "session-died")
        jail.finish(self.lab, server)
        shutil.rmtree(home.path)
        self.seen[name] = seen

    def show(self):
        lines = ["".join(f"{word:24}" for word in ["attempt", *PROCESSES])]
        lines += ["".join(f"{word:24}" for word in [name, *(seen.get(each, "-")
                                                            for each in PROCESSES)])
                  for name, seen in self.seen.items()]
        return "\n".join(line.rstrip() for line in lines)


def holds(said, seen, column, landlock):
    """True if an outcome is what the document says: "a/b" is a as root and b as a user."""
    said = said.split("/")[-1 if column == AS_USER else 0]
    if said == "landlock":
        return seen in REFUSALS or not landlock
    return seen in REFUSALS if said == "refused" else seen == said


@pytest.mark.skipif(jail.SANITIZED, reason="programs with sanitizers have no system call filter")
def test_attempts_from_inside_end_as_the_document_says(lab, probe, uid, column):
    if os.uname().machine != "x86_64":
        pytest.skip("the list of attempts is that of x86_64")
    table = attempt_table()
    attempts = Attempts(lab, probe, uid)
    for name in table:
        attempts.make(name)
    print(f"\nattempts, {column}:\n{attempts.show()}")
    landlock = jail.landlock_abi() >= 2
    wrong = [f"{name} in the {process}: doc/SECURITY says {said}, it ends in {seen}"
             for name, row in table.items() for process, said in row.items()
             if process in attempts.seen[name]
             and not holds(said, seen := attempts.seen[name][process], column, landlock)]
    assert not wrong, "\n".join(wrong)


def test_a_session_reaches_of_the_folder_what_the_document_says(lab, probe, uid, column):
    """With --delete-to: putting messages there, and nothing else."""
    if jail.SANITIZED or os.uname().machine != "x86_64":
        pytest.skip("the list of attempts is that of x86_64, without sanitizers")
    heading, *rows = [line.split() for line in indented("attempts, with --delete-to Trash")]
    assert heading == ["session"]
    landlock = jail.landlock_abi() >= 2
    attempts = Attempts(lab, probe, uid)
    for name, said in rows:
        home, server = attempts.connect(name, "--delete-to", "Trash")
        server.ask(f"USER {home.login}")
        assert server.ask(f"PASS {home.password}").startswith("+OK"), server.report()
        seen = attempts.outcome(server, name, "session-died")
        jail.finish(lab, server)
        shutil.rmtree(home.path)
        assert holds(said, seen, column, landlock), f"{name}: doc/SECURITY says {said}, not {seen}"
    folder = {name for name in attempt_table() if re.search("folder|sent$", name)}
    assert {name for name, _ in rows} == folder


def test_the_folder_is_the_only_further_directory_that_a_session_holds(lab, home, uid):
    home.add_seeds()
    server = lab.serve(home, "--delete-to", "Trash", uid=uid)
    log_in(server, home)
    maildir = os.fsdecode(home.maildir.path) + "/"
    session = jail.Roles(server, lab.pop3d).wait_for_session()
    held = {target.removeprefix(maildir) for target in jail.descriptors(session).values()
            if target.startswith(maildir)}
    assert held == {"new", "cur", "tmp", "pop3d", ".Trash/cur"}, held


def test_the_file_of_unique_ids_is_open_for_reading(lab, home, uid):
    home.add_seeds()
    for options in (["--uidl-from", "mailfront"], []):
        server = lab.serve(home, *options, uid=uid)
        log_in(server, home)
        session = jail.Roles(server, lab.pop3d).wait_for_session()
        held = {os.path.basename(target): fd for fd, target in jail.descriptors(session).items()}
        with open(f"/proc/{session}/fdinfo/{held['pop3d-uids']}", encoding="ascii") as file:
            flags = dict(line.split(":") for line in file)["flags"]
        assert int(flags, 8) & os.O_ACCMODE == os.O_RDONLY
        server.ask("QUIT")
        jail.finish(lab, server)


def test_the_document_lists_every_attempt():
    attempts = re.findall(r'^\t\{"([a-z0-9-]+)",', shipped("tests", "support", "attempts.c"),
                          re.MULTILINE)
    assert sorted(set(attempts)) == sorted(attempt_table())


def test_the_attempts_would_succeed_without_a_sandbox(lab, home):
    """The permissions alone would let the mail user do everything that the tests below see refused."""
    fill_for_attempts(lab, home)
    script = """
        set -e
        cat /etc/passwd ../other/Maildir/new/1.a diary Maildir/subscriptions Maildir/cur/symlink
        ls . ../other/Maildir/new
        touch Maildir/new/made Maildir/made .forward
        mkdir Maildir/cur/made
        ln diary Maildir/cur/linked
        ln Maildir/new/1.a stolen
        mv Maildir/new/1.a Maildir/moved
        mv Maildir/cur/2.b:2, Maildir/new/back
        chmod 644 Maildir/tmp/stale
        rmdir Maildir/cur/directory
        cat Maildir/.Trash/cur/*
        mv Maildir/cur/linked Maildir/.Trash/new/
        mv Maildir/new/made Maildir/.Sent/cur/
        mv Maildir/.Trash/cur/3.c:2, Maildir/cur/
        rm Maildir/subscriptions diary
    """
    become = {"user": MAIL_UID, "group": MAIL_GID, "extra_groups": []} if ROOT else {}
    done = subprocess.run(["/bin/sh", "-c", script], cwd=home.path, capture_output=True, text=True,
                          check=False, **become)
    assert done.returncode == 0, done.stderr


def log_in(server, home):
    server.line()
    server.ask(f"USER {home.login}")
    reply = server.ask(f"PASS {home.password}")
    assert reply is not None and reply.startswith("+OK"), server.report()


def as_mail_user(*command):
    """Runs a command as the user of the session."""
    become = {"user": MAIL_UID, "group": MAIL_GID, "extra_groups": []} if ROOT else {}
    return subprocess.run(command, capture_output=True, text=True, check=False, **become)


@pytest.mark.skipif(jail.SANITIZED, reason="programs with sanitizers have no system call filter")
def test_a_session_cannot_have_the_kernel_signal_for_it(lab, home, probe):
    """The owner of a descriptor can be any process, and the signal any signal."""
    become = {"user": MAIL_UID, "group": MAIL_GID, "extra_groups": []} if ROOT else {}
    with subprocess.Popen(["sleep", "60"], **become) as bystander:
        server = jail.start_program(lab, probe, home)
        log_in(server, home)
        assert server.ask(f"TRY signal-by-descriptor {bystander.pid}") is None, server.report()
        survived = bystander.poll() is None
        bystander.kill()
    assert survived, server.report()


def test_other_processes_of_the_mail_user_cannot_look_into_a_session(lab, home, uid):
    server, roles = start_connection(lab, home, uid)
    server.ask(f"USER {home.login}")
    assert server.ask(f"PASS {home.password}").startswith("+OK"), server.report()
    session = roles.wait_for_session()
    for name in ("mem", "environ", "maps", "fd/0", "cwd"):
        path = f"/proc/{session}/{name}"
        done = as_mail_user("readlink" if name in ("fd/0", "cwd") else "cat", path)
        assert done.returncode != 0 and done.stdout == "", f"{path}: {done}"
    own = as_mail_user("cat", "/proc/self/environ")
    assert own.returncode == 0, own


@pytest.mark.skipif(jail.SANITIZED, reason="programs with sanitizers have no system call filter")
def test_the_log_says_which_process_did_what_it_must_not(lab, home, probe):
    for stage in ("greeter", "session"):
        server = jail.start_program(lab, probe, home, transport="tcp")
        if stage == "session":
            log_in(server, home)
        else:
            server.line()
        assert server.ask("TRY exec") is None, server.report()
        server.ended()
        line = re.search(rf"^pop3d\[\d+\]: {stage}-died .*$", server.log(), re.MULTILINE)
        assert line, server.report()
        for part in ("ip=127.0.0.1", "signal=31", "cause=forbidden-system-call"):
            assert part in line[0], line[0]


# -- with each C library


LIBCS = ["musl", "glibc", "dynamic"]
SOME_SESSIONS = ["kermit", "mrose", "apop", "dele-rset", "login-after-failure", "pipelined", "top",
                 "uidl"]


@pytest.fixture(scope="session")
def libc_builds(programs):
    """Builds on demand: the program linked with each C library."""
    built = {}

    def build(libc):
        if libc == "musl" and shutil.which("musl-gcc") is None:
            pytest.skip("musl-gcc is not installed (package musl-tools)")
        if libc not in built:
            made = os.path.join(programs.directory, "libc", libc)
            # Static and dynamic programs of one library are made of the same objects.
            if libc == "dynamic" and "glibc" in built:
                shutil.copytree(os.path.join(os.path.dirname(made), "glibc"), made,
                                ignore=shutil.ignore_patterns("pop3d"))
            jail.make(made, "pop3d", LIBC=libc)
            built[libc] = os.path.join(programs.directory, "bin", "pop3d-" + libc)
            shutil.copy(os.path.join(made, "pop3d"), built[libc])
        return built[libc]

    return build


@pytest.fixture
def libc_lab(lab, libc_builds, request):
    """The laboratory with the program of one C library instead of the one under test."""
    program = libc_builds(request.param)
    real, lab.pop3d = lab.pop3d, program
    yield lab
    lab.pop3d = real


def play(lab, name, form, *options, **how):
    script = transcript.Transcript(name)
    script.header["options"] = " ".join([script.header.get("options", ""), *options])
    home = harness.Home(lab, os.fsdecode(script.login), os.fsdecode(script.password))
    start, lab.start = lab.start, lambda argv, **more: start(argv, **{**more, **how})
    try:
        transcript.play(lab, script, form, "socketpair", ("steps", b"\r\n", ()), home)
    finally:
        lab.start = start
        shutil.rmtree(home.path)


@pytest.mark.parametrize("options", [[], ["--debug"]], ids=["plain", "debug"])
@pytest.mark.parametrize("libc_lab", LIBCS, indirect=True)
def test_sessions_go_through_in_the_jail_of_each_c_library(libc_lab, options):
    for name in SOME_SESSIONS:
        for form in transcript.Transcript(name).forms():
            play(libc_lab, name, form, *options)


@pytest.mark.parametrize("options", [[], ["--debug"]], ids=["plain", "debug"])
@pytest.mark.parametrize("libc_lab", LIBCS, indirect=True)
def test_sessions_go_through_where_the_log_is_syslog(libc_lab, syslog, options):  # noqa: F811
    for name in SOME_SESSIONS:
        play(libc_lab, name, "serve", *options, stderr="client", wrapper=syslog.wrapper)
    assert not [line for line in syslog.lines if "-died" in line], syslog.lines[-20:]


@pytest.mark.parametrize("libc_lab", LIBCS, indirect=True)
def test_a_large_maildrop_is_served_in_the_jail_of_each_c_library(libc_lab, home):
    """Sorting and memory of that size use other system calls."""
    for i in range(2000):
        with open(home.maildir.at("cur", f"{1000000000 + i * 7919 % 2000}.M{i}:2,"), "wb"):
            pass
    home.maildir.add("1.big", b"x" * 79 + b"\n" * (1 << 20))
    server = libc_lab.serve(home)
    log_in(server, home)
    assert len(server.listing("UIDL")) == 2001
    server.ask_multi("RETR 1")
    server.ask("DELE 1")
    assert server.quit() is not None, server.report()


# -- what is left behind


ROOT_PLACES = ["/dev/shm", "/run", "/tmp"]


def directories_of_greeters():
    return {os.path.join(place, name) for place in ROOT_PLACES if os.path.isdir(place)
            for name in os.listdir(place) if name.startswith("pop3d-root")}


@pytest.mark.skipif(not ROOT or shutil.which("strace") is None, reason="needs root and strace")
def test_a_greeter_that_is_killed_leaves_no_directory(lab, home, tmp_path):
    """Even between making the directory that becomes its root and removing it."""
    before = directories_of_greeters()
    trace = tmp_path / "trace"
    server = lab.serve(home, wrapper=["strace", "-f", "-o", str(trace),
                                      "-e", "trace=mkdir,mkdirat,chdir",
                                      "-e", "inject=chdir:signal=KILL"])
    assert server.rest() == b"", server.report()
    server.process.wait()
    made = [line for line in trace.read_text().splitlines() if "pop3d-root" in line]
    assert made and "killed by SIGKILL" in trace.read_text(), trace.read_text()
    assert directories_of_greeters() == before


@pytest.mark.skipif(not ROOT, reason="needs root")
def test_a_directory_that_was_left_behind_is_in_nobodys_way(lab, home):
    """Where the monitor was killed, too, a later greeter of the same number removes it."""
    server = lab.serve(home, wrapper=["sh", "-c", 'i=$$; end=$((i + 50)); '
                                      'while [ $i -lt $end ]; do i=$((i + 1)); '
                                      'mkdir -p /dev/shm/pop3d-root$i; done; exec "$@"', "sh"])
    try:
        assert server.line().startswith("+OK"), server.report()
        greeter = retry_until(jail.Roles(server, lab.pop3d).child)
        assert Seen(greeter, server, home, AS_ROOT).directory("root") == {"empty"}
        assert not os.path.exists(f"/dev/shm/pop3d-root{greeter}")
    finally:
        for path in directories_of_greeters():
            os.rmdir(path)
