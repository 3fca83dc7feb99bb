"""From the first version to this one and back: the same Maildirs, clients, command lines, password
files, units and filters. What a user or a script had then works now, and no mail is fetched twice.

The first version is built from the project's own history, once for a build directory.
"""
import fcntl
import hashlib
import os
import re
import shlex
import shutil
import ssl
import subprocess
import tarfile

import pytest

import fetchers
import harness
import jail
from harness import MAIL_GID, MAIL_UID, ROOT
import launch
from launch import TREE, find_program
from matrix import Case, subjects
from tls_lab import pki  # fixture, pylint: disable=unused-import

FIRST = "ca859c4e25c964d0b09ae197188f7d70de9a7d99"
PROGRAMS = ("pop3d", "pop3d-tls", "pop3d-checkpw")


def git(*words, **how):
    return subprocess.run(["git", "-c", "safe.directory=*", "-C", TREE, *words], check=False,
                          stderr=subprocess.PIPE, **how)


def build_first(directory):
    """The tree of the first version in tree/, and its programs in tree/build/."""
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        tree = os.path.join(directory, "tree")
        if os.path.exists(os.path.join(tree, "built")):
            return tree
        packed = os.path.join(directory, "tree.tar")
        if shutil.which("git") is None or git("cat-file", "-e", FIRST).returncode != 0:
            pytest.skip(f"the project's history is not here: no commit {FIRST[:7]}")
        assert git("archive", "-o", packed, FIRST).returncode == 0
        with tarfile.open(packed) as archive:
            archive.extractall(tree)
        environment = {name: value for name, value in os.environ.items()
                       if name not in ("O", "LIBC", "SANITIZE", "CHARDEN", "MFLAGS", "WERROR")
                       and not name.startswith("MAKE")}
        done = subprocess.run(["make", "-s", "-j2", "-C", tree, "O=build"], env=environment,
                              capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        with open(os.path.join(tree, "built"), "w", encoding="ascii"):
            pass
        return tree


class First:
    """The first version: its tree, and its programs where every user can run them."""

    def __init__(self, programs):
        self.tree = build_first(os.path.join(programs.build, "upgrade", FIRST[:7]))
        self.binaries = os.path.join(programs.directory, "first")
        os.makedirs(self.binaries, mode=0o755, exist_ok=True)
        for name in PROGRAMS:
            path = os.path.join(self.tree, "build", name)
            if os.path.exists(path):
                shutil.copy(path, self.binaries)

    def program(self, name):
        return os.path.join(self.binaries, name)


@pytest.fixture(scope="session")
def first(programs):
    return First(programs)


@pytest.fixture
def versions(lab, first):
    """Switches the laboratory between the versions."""
    now = lab.pop3d

    def use(version):
        lab.pop3d = first.program("pop3d") if version == "first" else now
        return lab

    yield use
    lab.pop3d = now


# -- Maildirs

# Of every kind but two, whose UIDs had to change: those of several files with one unique name, which
# were not stable, and those that end in ";2,FLAGS", where the flags were part of the UID.
NAMES = [
    "new/1700000000.4711.vm", "new/1700000001.M1P2.host", "new/1700000002.M12P34Q5.host,S=21",
    "cur/1700000003.M1P2V0I3_0.host,S=21,W=23:2,S", "cur/1700000004.M1P2.host:2,FRS",
    "cur/1700000005_0.123.host:2,", "cur/1700000006.123.host:2,ST", "cur/1700000007.123.host",
    "new/" + "1700000009.M1P2." + "long-host." * 6 + "example",
    "new/" + "1700000010.M1P2." + "x" * 54, "new/" + "1700000011.M1P2." + "x" * 55,
    "new/1700000012.a name with blanks", "new/1700000013.\u00e4\u00f6", "cur/no-time:2,S",
    "cur/1700000014.M1P2.host:1,x",
    *(f"cur/{1700000100 + i}.M{i}P1.host:2,{'S' if i % 2 else ''}" for i in range(120)),
]
BESIDE = {
    "dovecot-uidlist": "3 V1795667945 N3 Gabc\n1 W23 :1700000000.4711.vm\n2 :1700000001.M1P2.host\n",
    "dovecot-uidvalidity": "", "dovecot-uidvalidity.6b07b7e9": "", "dovecot.index.log": "\1\2",
    "dovecot.index.cache": "\1", "dovecot-keywords": "0 $Label1\n", "subscriptions": "Sent\n",
    "courierpop3dsizelist": "/2 3 1795667925\n1700000000.4711.vm 23 1:1795667925:0\n",
    "courierimapuiddb": "1 1795667925 3\n1 1700000000.4711.vm\n", "maildirsize": "1000000S\n3000 140\n",
}


def fill(home):
    for number, name in enumerate(NAMES):
        sub, _, name = name.partition("/")
        home.maildir.add(name, f"Subject: {number}\n\ntext {number}\n".encode(), sub=sub)
    for name, text in BESIDE.items():
        home.maildir.add(name, text.encode("latin-1"), sub="")
    for sub in ("", "new", "cur", "tmp"):
        os.makedirs(home.maildir.at(".Sent", sub), exist_ok=True)
        harness.own(home.maildir.at(".Sent", sub))


def serve(lab, home, *commands):
    """What a session says of each message: number -> UID, size, contents."""
    server = lab.session(home)
    assert server.line().startswith("+OK"), server.report()
    uids, sizes = server.listing("UIDL"), server.listing("LIST")
    found = {number: (uids[number], sizes[number], hashlib.sha256(
        server.ask_multi(f"RETR {number}")[1]).hexdigest()) for number in uids}
    for command in commands:
        assert server.ask(command).startswith("+OK")
    assert server.quit().startswith("+OK"), server.report()
    return found


def imap_changes(home, turn):
    """What an IMAP server does to the files between two sessions: flags, and new mail."""
    for name in sorted(home.maildir.names("cur"))[turn::7]:
        path = os.path.join(home.maildir.path, name)
        unique, _, flags = name.partition(b":2,")
        if flags and b"F" not in flags:
            os.rename(path, os.path.join(home.maildir.path, unique + b":2,F" + flags))
    home.maildir.add(f"{1700001000 + turn}.M{turn}P9.host", b"new\n", sub="new")


def test_no_uid_changes_in_a_maildir_on_the_way_here_and_back(versions, home):
    fill(home)
    before = serve(versions("first"), home)
    assert len(before) == len(NAMES) and len({uid for uid, _, _ in before.values()}) == len(NAMES)
    expected = {uid: (size, text) for uid, size, text in before.values()}
    for turn, version in enumerate(("now", "first", "now", "now", "first", "first", "now")):
        imap_changes(home, turn)
        got = {uid: (size, text) for uid, size, text in
               serve(versions(version), home, "DELE 5").values()}
        added = set(got) - set(expected)
        assert added == {f"{1700001000 + turn}.M{turn}P9.host"}, f"turn {turn}: other UIDs {added}"
        assert {uid: got.get(uid) for uid in expected} == expected, f"turn {turn}, {version}"
        # the fifth message is gone from the next session on
        expected = dict(got)
        del expected[list(got)[4]]
    for name, text in BESIDE.items():
        if name != "maildirsize":
            with open(home.maildir.at(name), encoding="latin-1") as file:
                assert file.read() == text, name


def test_an_index_of_the_other_version_is_no_obstacle(versions, home):
    """Each version writes its own, and a login with it gives what a login without gives."""
    fill(home)
    for sub in ("new", "cur"):
        os.utime(home.maildir.at(sub), (1700000000, 1700000000))
    seen = []
    for version in ("first", "now", "first", "now"):
        for options in ([], ["--no-index"]):
            server = versions(version).session(home, *options)
            server.line()
            uids, sizes = server.listing("UIDL"), server.listing("LIST")
            # the numbers of some odd names are others in the first version
            seen.append(({uids[number]: sizes[number] for number in uids}, server.ask("STAT")))
            server.shutdown()
            server.ended()
    for uids, total in seen[1:]:
        assert {uid: size for uid, size in uids.items() if seen[0][0].get(uid) != size} == {}
        assert (len(uids), total) == (len(seen[0][0]), seen[0][1])


# -- clients with their state


@pytest.mark.parametrize("kind", [fetchers.FetchmailUidl, fetchers.Getmail, fetchers.Mpop],
                         ids=lambda kind: kind.__name__)
def test_no_client_fetches_a_message_twice(versions, home, pki, kind, monkeypatch):
    """fetchmail with its option uidl: without it, it fetched everything at every poll from the
    first version, which answered LAST.
    """
    # on one port, which is part of getmail's name of a server
    port = launch.free_port()
    monkeypatch.setattr(launch, "free_port", lambda address: port)
    if kind.version() is None:
        pytest.skip(f"{kind.package} is not installed (./bootstrap clients)")
    number, counts = 0, []
    case = Case(kind, versions("first"), home, pki, "clear")
    try:
        for version, new in (("first", 30), ("first", 0), ("now", 0), ("now", 2), ("first", 0),
                             ("first", 2), ("now", 1)):
            case.lab = versions(version)
            case.serve()
            for _ in range(new):
                case.add(f"upgrade-{number}", number)
                number += 1
            counts.append(case.client().keep_poll())
            case.server.stop()
            shutil.rmtree(case.server.work)
        assert counts == [30, 30, 30, 32, 32, 34, 35]
        assert set(subjects(case.client().stored())) == {f"upgrade-{n}" for n in range(number)}
    finally:
        case.stop()


# -- command lines

VALUES = {"SECONDS": "5", "UID[:GID]": "65534:65534", "NAME": "mail.example", "PATH": "Maildir",
          "LIST": "cram-md5,xoauth2,oauthbearer", "ADDR[/LEN]": "192.0.2.0/24", "N": "3",
          "'PROGRAM ARGS'": "/bin/true a b", "FILE": "/dev/null", "DIR": "/", "1.2|1.3": "1.3",
          "CAFILE": "/dev/null"}
# What only begins together with another option.
WITH = {"trusted-proxy": ["--proxy-protocol"]}


def options_of(program):
    """Option -> its value in --help, or None."""
    text = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    listed = re.findall(r"^  (?:-\w, )?--([a-z0-9-]+)(?: ([^\s\[][^\s]*|'[^']*'))?", text,
                        re.MULTILINE)
    values = {name: value.strip(",") for name, value in listed}
    return {name: value if value in VALUES else None for name, value in values.items()}


def takes(program, *words):
    """Whether a program reads these options to their end: --version follows them."""
    done = subprocess.run([program, *words, "--version"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)
    return done.returncode == 0 and done.stdout.startswith("pop3d")


def words_of(name, value, separate):
    if value is None:
        return ["--" + name]
    return ["--" + name, VALUES[value]] if separate else [f"--{name}={VALUES[value]}"]


@pytest.mark.parametrize("program", ["pop3d", "pop3d-tls"])
def test_every_option_is_still_taken(lab, first, program):
    old, new = first.program(program), os.path.join(os.path.dirname(lab.pop3d), program)
    if not os.path.exists(old) or not os.path.exists(new):
        pytest.skip(f"{program} is not built")
    options = options_of(old)
    del options["help"]
    assert len(options) >= 15
    compared = 0
    for name, value in options.items():
        # abbreviations as well: whatever the first version took
        for length in range(1, len(name) + 1):
            for separate in (True, False):
                words = [*WITH.get(name, []), *words_of(name[:length], value, separate)]
                if takes(old, *words):
                    compared += 1
                    assert takes(new, *words), words
    print(f"{program}: {compared} spellings of {len(options)} options")
    assert compared > len(options)


def test_the_options_of_the_checker_are_still_taken(lab, first, home, tmp_path):
    """Its password file, and the hash that it makes."""
    if jail.SANITIZED:
        pytest.skip("the checker of sanitized programs starts no session here")
    line = subprocess.run([first.program("pop3d-checkpw"), "--hash"], input="geheim\n",
                          capture_output=True, text=True, check=True).stdout.strip()
    table = os.path.join(os.path.dirname(home.table), "upgrade.passwd")
    with open(table, "w", encoding="ascii") as file:
        file.write(f"# users\n\nother:!:1:1:/\nkermit:{line}:{MAIL_UID}:{MAIL_GID}:{home.path}\n")
    os.chmod(table, 0o600)
    for checker in (first.program("pop3d-checkpw"),
                    os.path.join(os.path.dirname(lab.pop3d), "pop3d-checkpw")):
        for options in (["-f", table], ["--file", table], [f"--file={table}"], ["-f", table, "--"]):
            server = lab.serve(home, checker=[checker, *options])
            server.line()
            server.ask("USER kermit")
            assert server.ask("PASS geheim").startswith("+OK"), server.report()
            assert server.quit().startswith("+OK")


def test_a_login_that_waits_while_the_program_is_replaced_gets_in(lab, first, home):
    """As a package manager does it: the new file takes the name of the old one. The monitor of the
    first version then starts the session of this one.
    """
    path = os.path.join(home.path, "pop3d")
    home.add_seeds()
    shutil.copy(first.program("pop3d"), path)
    os.chmod(home.path, 0o755)
    server = jail.start_program(lab, path, home)
    server.line()
    shutil.copy(lab.pop3d, path + ".new")
    os.rename(path + ".new", path)
    server.ask(f"USER {home.login}")
    assert server.ask(f"PASS {home.password}").startswith("+OK 4 messages"), server.report()
    assert server.quit().startswith("+OK")
    assert " login ip=" in server.log() and " logout ip=" in server.log(), server.log()


# -- units, files for xinetd


def read_file(tree, *names):
    with open(os.path.join(tree, *names), encoding="utf-8") as file:
        return file.read()


def unit_commands(tree):
    """What the units, with their own settings, and the files for xinetd of a version start."""
    for name in sorted(os.listdir(os.path.join(tree, "systemd"))):
        text = read_file(tree, "systemd", name)
        settings = dict(word.split("=", 1) for line in re.findall(
            r"^Environment=(.*)$", text, re.MULTILINE) for word in shlex.split(line))
        for command in re.findall(r"^ExecStart=-?(.+)$", text, re.MULTILINE):
            yield name, shlex.split(re.sub(r"\$(\w+)", lambda found: settings.get(found[1], ""), command))
    for name in sorted(os.listdir(os.path.join(tree, "xinetd.d"))):
        text = read_file(tree, "xinetd.d", name)
        program = re.search(r"^\s*server\s*=\s*(\S+)", text, re.MULTILINE)[1]
        arguments = re.search(r"^\s*server_args\s*=\s*(.*)$", text, re.MULTILINE)
        yield name, [program, *(shlex.split(arguments[1]) if arguments else [])]


@pytest.mark.parametrize("whose, run", [("first", "now"), ("now", "first")])
def test_the_commands_of_units_and_xinetd_start_the_other_version(lab, first, home, whose, run):
    binaries = first.binaries if run == "first" else os.path.dirname(lab.pop3d)
    place = os.path.join(home.path, "etc")
    os.makedirs(place)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-keyout", place + "/tls.pem", "-out", place + "/tls.pem"],
                   check=True, capture_output=True)
    tls = os.path.join(binaries, "pop3d-tls")
    if not os.path.exists(tls):
        pytest.skip("pop3d-tls is not built")
    subprocess.run([tls, "--make-ticket-keys", place + "/tickets"], check=True)
    seen = []
    for name, words in unit_commands(first.tree if whose == "first" else TREE):
        words = [re.sub("^/usr/local/sbin", binaries, word).replace("/etc/pop3d", place)
                 for word in words]
        seen.append(name)
        if "--rotate-ticket-keys" in words:
            assert subprocess.run(words, check=False).returncode == 0, words
            continue
        server = lab.start(words, transport="tcp")
        if "--proxy-protocol" in words:
            server.send(b"PROXY TCP4 192.0.2.7 127.0.0.1 1 110\r\n")
        if words[0] != tls or "--starttls" in words:
            assert server.line().startswith("+OK"), server.report()
        else:
            context = ssl.create_default_context(cafile=place + "/tls.pem")
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
            assert shake(server, client, incoming, outgoing).startswith(b"+OK"), server.report()
        server.shutdown()
        server.ended()
        assert "configuration" not in server.log(), server.log()
    assert {"pop3d@.service", "pop3s@.service", "pop3d-tickets.service", "pop3", "pop3s"} <= set(seen)


def shake(server, client, incoming, outgoing):
    """A handshake, and the first octets after it."""
    while True:
        try:
            octets = client.read(512)
            if octets:
                return octets
        except ssl.SSLWantReadError:
            if outgoing.pending:
                server.send(outgoing.read())
            server.exchange(b"", lambda: len(server.got) > server.taken)
            incoming.write(bytes(server.got[server.taken:]))
            server.taken = len(server.got)


def filter_of_unit(first, name):
    """The system calls that a unit of the first version permits."""
    analyze = find_program("systemd-analyze", "systemd")
    permitted = set()

    def expand(words):
        for word in words:
            if not word.startswith("@"):
                permitted.add(word)
                continue
            text = subprocess.run([analyze, "--no-pager", "syscall-filter", word],
                                  capture_output=True, text=True, check=True).stdout
            expand(line.strip() for line in text.splitlines()[1:]
                   if line.strip() and not line.strip().startswith("#"))

    expand(re.search(r"^SystemCallFilter=(.*)$", read_file(first.tree, "systemd", name),
                     re.MULTILINE)[1].split())
    return permitted


@pytest.mark.skipif(jail.SANITIZED or not ROOT, reason="needs root, and programs without sanitizers")
def test_a_session_needs_no_system_call_that_the_first_unit_forbids(lab, first, home, tmp_path):
    permitted = filter_of_unit(first, "pop3d@.service")
    assert len(permitted) > 200
    find_program("strace", "strace")
    trace = tmp_path / "trace"
    home.add_seeds()
    binaries = os.path.dirname(lab.pop3d)
    table = os.path.join(os.path.dirname(home.table), "strace.passwd")
    line = subprocess.run([os.path.join(binaries, "pop3d-checkpw"), "--hash"], input="geheim\n",
                          capture_output=True, text=True, check=True).stdout.strip()
    with open(table, "w", encoding="ascii") as file:
        file.write(f"kermit:{line}:{MAIL_UID}:{MAIL_GID}:{home.path}\n")
    server = lab.serve(home, checker=[os.path.join(binaries, "pop3d-checkpw"), "-f", table],
                       transport="tcp", wrapper=["strace", "-f", "-qq", "-o", str(trace)])
    server.line()
    for command in ("USER kermit", "PASS wrong", "USER kermit", "PASS geheim", "STAT"):
        server.ask(command)
    server.ask_multi("RETR 1")
    server.ask("DELE 1")
    assert server.quit().startswith("+OK"), server.report()
    used = set(re.findall(r"^\d+ +(\w+)\(", trace.read_text(), re.MULTILINE))
    # a number that strace takes for one of a call, in a process that is about to get another identity
    used = {name for name in used if not name.startswith("syscall_0x")}
    assert {"renameat2", "execve", "chroot"} <= used
    assert used - permitted == set()


# -- logs


def failures(lab, home, uid=None):
    """A log with failed logins, of every kind of name, and the number of those."""
    names = ["kermit", "miss piggy", 'a"b', "x=y", "\u00e4"]
    lines = []
    for name in names:
        server = lab.serve(home, transport="tcp", uid=uid)
        server.line()
        server.ask(b"USER " + name.encode())
        assert server.ask("PASS wrong").startswith("-ERR [AUTH]"), server.report()
        server.ask("QUIT")
        server.ended()
        lines += server.log().splitlines()
    for words in (b"AUTH PLAIN AGtlcm1pdAB3cm9uZw==", b"NONSENSE"):
        server = lab.serve(home, transport="tcp", uid=uid)
        server.line()
        for _ in range(11):
            if server.ask(words) is None:
                break
        server.shutdown()
        server.ended()
        lines += server.log().splitlines()
    return lines, sum("login-failed" in line for line in lines)


def count(filter_path, lines, tmp_path, log, mode="normal"):
    """How many lines a fail2ban filter finds, written as syslog or multilog would."""
    program = find_program("fail2ban-regex", "fail2ban")
    begin = "Nov 22 04:15:01 mail " if log == "syslog" else "@400000006560d1a50b2c1f3c "
    path = tmp_path / f"log.{log}"
    path.write_text("".join(begin + line + "\n" for line in lines), encoding="latin-1")
    done = subprocess.run([program, "-o", "ip", str(path), f"{filter_path}[log={log}, mode={mode}]"],
                          capture_output=True, text=True, check=False)
    return done.stdout.split().count("127.0.0.1")


@pytest.mark.parametrize("log", ["syslog", "stderr"])
@pytest.mark.parametrize("wrote, reads", [("now", "first"), ("first", "now"), ("now", "now")])
def test_each_filter_counts_the_failures_of_each_version(versions, first, home, tmp_path, log, wrote,
                                                         reads):
    lines, wanted = failures(versions(wrote), home)
    path = os.path.join(first.tree if reads == "first" else TREE, "fail2ban", "filter.d", "pop3d.conf")
    assert wanted >= 6
    assert count(path, lines, tmp_path, log) == wanted, "\n".join(lines)
    nonsense = sum("reason=bad-commands" in line for line in lines)
    assert nonsense and count(path, lines, tmp_path, log, "aggressive") == wanted + nonsense
