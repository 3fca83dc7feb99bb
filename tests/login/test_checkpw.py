"""pop3d-checkpw: every way to log in, and every login that it must refuse.

The program runs as a front end runs it: credentials on descriptor 3, standard output and standard
error separate. If root runs the tests, most run twice: as root (the entry is another user) and as
an ordinary user (the entry is that user).
"""
import contextlib
import ctypes
import ctypes.util
import errno
import fcntl
import json
import os
import pty
import pwd
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time

import pytest

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("POP3D_BUILD", os.path.join(os.path.dirname(TESTS), "build"))
ROOT = os.getuid() == 0
UID, GID = (4321, 4322) if ROOT else (os.getuid(), os.getgid())
SECONDS = 120  # Seconds after which a program that hangs is killed. Nothing that works takes as long.

REFUSED, MISUSED, MISCONFIGURED, TEMPORARY, NOT_EXECUTABLE, NOT_FOUND = 1, 2, 100, 111, 126, 127

TIOCGPTPEER = 0x5441  # Opens the other end of a pseudo-terminal.

needs_root = pytest.mark.skipif(not ROOT, reason="becoming another user needs root")

# Runs in place of the mail session, and reports what it was given.
PROBE = r"""
import fcntl, json, os, sys
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
def is_open(fd):
    try:
        fcntl.fcntl(fd, fcntl.F_GETFD)
        return True
    except OSError:
        return False
inherited = [fd for fd in range(256) if is_open(fd)]
json.dump({"uid": status["Uid"].split(), "gid": status["Gid"].split(),
           "groups": status["Groups"].split(), "cwd": os.getcwd(), "argv": sys.argv[1:],
           "env": dict(os.environ), "open": inherited,
           "capabilities": int(status["CapEff"], 16)},
          sys.stdout)
"""

# Preloaded before the C library. It lies about identity changes, notes what goes to syslog, and
# counts the places in writable memory that contain a text. The text is given with every octet
# changed (^ 0x55), so that the copy that was given is not counted.
PRELOAD = r"""
#define _GNU_SOURCE
#include <crypt.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int lies(const char *name)
{
	const char *list = getenv("TEST_LIE");

	return list && strcmp(list, name) == 0;
}

#define LYING(name, type, parameters, arguments) \
	int name parameters \
	{ \
		int (*real) parameters = dlsym(RTLD_NEXT, #name); \
		return lies(#name) ? 0 : real arguments; \
	}
LYING(setgid, gid, (gid_t gid), (gid))
LYING(setuid, uid, (uid_t uid), (uid))
LYING(setgroups, groups, (size_t count, const gid_t *groups), (count, groups))

static void note(const char *format, ...)
{
	FILE *file = getenv("TEST_NOTES") ? fopen(getenv("TEST_NOTES"), "ae") : NULL;
	va_list arguments;

	if (!file)
		return;
	va_start(arguments, format);
	vfprintf(file, format, arguments);
	va_end(arguments);
	fclose(file);
}

/* Whatever is sent without an address is a line for syslog; no daemon is asked. */
int connect(int fd, const struct sockaddr *address, socklen_t length)
{
	int (*real)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "connect");

	if (address->sa_family == AF_UNIX && strcmp(address->sa_data, "/dev/log") == 0)
		return 0;
	return real(fd, address, length);
}

ssize_t send(int fd, const void *octets, size_t length, int flags)
{
	ssize_t (*real)(int, const void *, size_t, int) = dlsym(RTLD_NEXT, "send");

	if (memcmp(octets, "<", 1) != 0)
		return real(fd, octets, length, flags);
	note("syslog %d %.*s\n", atoi((const char *)octets + 1) & 7,
		(int)(length - (strchr(octets, '>') + 1 - (const char *)octets)),
		strchr(octets, '>') + 1);
	return (ssize_t)length;
}

static int hex(char digit)
{
	return digit <= '9' ? digit - '0' : digit - 'a' + 10;
}

__attribute__((no_sanitize("address")))
static int count(const char *needle)
{
	unsigned long begin, end;
	size_t length = strlen(needle) / 2;
	char line[512], mode[8];
	FILE *maps = fopen("/proc/self/maps", "re");
	int found = 0;

	while (maps && fgets(line, sizeof line, maps)) {
		if (sscanf(line, "%lx-%lx %7s", &begin, &end, mode) != 3 || mode[0] != 'r' ||
				mode[1] != 'w' || end - begin > (256UL << 20))
			continue;
		for (const volatile char *at = (char *)begin; at + length <= (char *)end; at++) {
			size_t same = 0;

			while (same < length && (unsigned char)(at[same] ^ 0x55) ==
					(hex(needle[2 * same]) << 4 | hex(needle[2 * same + 1])))
				same++;
			found += same == length;
		}
	}
	if (maps)
		fclose(maps);
	return found;
}

static void note_memory(const char *when)
{
	const char *name[] = {"TEST_SECRET", "TEST_HASH"};

	for (int i = 0; i < 2; i++)
		if (getenv(name[i]))
			note("%s %s %d\n", when, name[i], count(getenv(name[i])));
}

char *crypt_r(const char *phrase, const char *setting, struct crypt_data *data)
{
	char *(*real)(const char *, const char *, struct crypt_data *) = dlsym(RTLD_NEXT, "crypt_r");

	if (getenv("TEST_CRYPT_ERRNO")) {
		errno = atoi(getenv("TEST_CRYPT_ERRNO"));
		return NULL;
	}
	note_memory("crypt");
	/* the hash after the last $ must not stay in a buffer of ours */
	note("standard descriptors %d %d %d\n", fcntl(0, F_GETFD) >= 0, fcntl(1, F_GETFD) >= 0,
		fcntl(2, F_GETFD) >= 0);
	note("setting %.*s\n", (int)(strrchr(setting, '$') - setting), setting);
	return real(phrase, setting, data);
}

int execvp(const char *file, char *const argv[])
{
	int (*real)(const char *, char *const[]) = dlsym(RTLD_NEXT, "execvp");

	note_memory("exec");
	if (getenv("TEST_EXEC_ERRNO")) {
		errno = atoi(getenv("TEST_EXEC_ERRNO"));
		return -1;
	}
	return real(file, argv);
}
"""


# ---- crypt(3) -------------------------------------------------------------------------------

libcrypt = ctypes.CDLL(ctypes.util.find_library("crypt") or "libcrypt.so.1")
libcrypt.crypt.restype = ctypes.c_char_p
libcrypt.crypt.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
libcrypt.crypt_gensalt.restype = ctypes.c_char_p
libcrypt.crypt_gensalt.argtypes = [ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p, ctypes.c_int]


def crypt_hash(password, kind="$5$", cost=0):
    """A hash of this kind (a prefix of crypt(5)), or None if crypt(3) does not support it."""
    setting = libcrypt.crypt_gensalt(kind.encode(), cost, b"0123456789abcdefghijklmnopqrstuv", 32)
    hashed = setting and libcrypt.crypt(password.encode(), setting)
    return hashed.decode() if hashed and not hashed.startswith(b"*") else None


# Cheap hashes, for tests that are not about hashes.
HASH = crypt_hash("secret", "$5$", 1000)
OTHER_HASH = crypt_hash("another", "$5$", 1000)


# ---- running it -----------------------------------------------------------------------------

class Result:
    def __init__(self, status, out, err, usage):
        self.status = os.waitstatus_to_exitcode(status)
        # the number of the process is of no account here
        self.out, self.err = out, re.sub(r"^pop3d-checkpw\[\d+\]: ", "pop3d-checkpw: ", err,
                                          flags=re.MULTILINE)
        self.cpu_seconds = usage.ru_utime + usage.ru_stime

    @property
    def seen(self):
        """What the program that was run saw."""
        assert self.status == 0, self
        return json.loads(self.out)

    def __repr__(self):
        return f"<status {self.status}, stdout {self.out[:500]!r}, stderr {self.err[:3000]!r}>"


def credentials(login, password, timestamp="<1.2@host>"):
    return b"".join(field.encode("latin-1") + b"\0" for field in (login, password, timestamp))


def start(argv, fds, env, user=None):
    """Forks and executes argv with exactly the descriptors of fds (number -> the test's, or None)."""
    pid = os.fork()
    if pid != 0:
        return pid
    try:
        high = {fd: fcntl.fcntl(source, fcntl.F_DUPFD, 100)
                for fd, source in fds.items() if source is not None}
        os.closerange(0, 100)
        for fd, source in high.items():
            os.dup2(source, fd)
        os.closerange(100, 1000)
        os.umask(0o022)
        if user is not None:
            os.setgroups([])
            os.setgid(user[1])
            os.setuid(user[0])
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.alarm(SECONDS)
        os.execve(argv[0], argv, env)
    finally:
        os._exit(99)


class Checker:
    """pop3d-checkpw as this user runs it, and the directory of the test."""

    def __init__(self, binary, directory, as_root):
        self.binary, self.as_root = binary, as_root
        self.directory = directory
        self.file = os.path.join(directory, "passwd")
        self.home = os.path.join(directory, "home")
        os.mkdir(self.home)
        os.chown(self.home, UID, GID)
        self.preload = None
        self.prefix = []

    def entry(self, login="joe", hashed=None, uid=UID, gid=GID, home=None, maildir=None):
        fields = [login, HASH if hashed is None else hashed, str(uid), str(gid), home or self.home]
        return ":".join(fields + ([maildir] if maildir is not None else []))

    def write(self, *lines, end="\n", mode=0o600):
        """The password file, with these lines (text as Latin-1, or octets)."""
        octets = (line if isinstance(line, bytes) else line.encode("latin-1") for line in lines)
        if os.path.lexists(self.file):
            os.unlink(self.file)
        with open(self.file, "wb") as file:
            file.write(b"".join(line + end.encode() for line in octets))
        os.chmod(self.file, mode)
        if not self.as_root:
            os.chown(self.file, UID, GID)

    def run(self, *arguments, data=None, env=None, fds=None, options=None, probe=True):
        """Runs it with these octets on descriptor 3. By default the program reports what it sees."""
        options = ["-f", self.file] if options is None else options
        program = [sys.executable, "-c", PROBE, *arguments] if probe else list(arguments)
        environment = {"PATH": "/usr/bin:/bin", "TCPREMOTEIP": "192.0.2.1",
                       "ASAN_OPTIONS": "detect_leaks=0:verify_asan_link_order=0", **(env or {})}
        binary = self.binary
        if self.preload is not None:
            # The same sources; the first program is static.
            binary += "-host"
            environment["LD_PRELOAD"] = self.preload
        with contextlib.ExitStack() as stack:
            out, err, null, three = (stack.enter_context(file) for file in (
                tempfile.TemporaryFile(), tempfile.TemporaryFile(),
                open(os.devnull, "r+b"), tempfile.TemporaryFile()))
            given = {0: null.fileno(), 1: out.fileno(), 2: err.fileno()}
            if data is not None:
                reader, writer = os.pipe()
                stack.callback(os.close, reader)
                assert len(data) < 65536
                os.write(writer, data)
                os.close(writer)
                given[3] = reader
            given.update(fds or {})
            pid = start([*self.prefix, binary, *options, *program], given, environment,
                        None if self.as_root or not ROOT else (UID, GID))
            _, status, usage = os.wait4(pid, 0)
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode("latin-1"))
        return Result(status, *texts, usage)

    def login(self, login="joe", password="secret", **options):
        return self.run(data=credentials(login, password), **options)

    def refuses(self, login="joe", password="secret", **options):
        """Refuses, says so in one line and runs nothing."""
        result = self.login(login, password, **options)
        assert result.status == REFUSED and result.out == "", result
        assert password not in result.err or len(password) < 3, result
        return result


@pytest.fixture(scope="session")
def workshop():
    """A directory that every user can enter, with the binary and the preloaded library."""
    directory = os.path.realpath(tempfile.mkdtemp(prefix="pop3d-checkpw-test."))
    os.chmod(directory, 0o755)
    for name in ("pop3d-checkpw", "pop3d-checkpw-host"):
        shutil.copy(os.path.join(BUILD, name), directory)
    with open(os.path.join(directory, "preload.c"), "w", encoding="ascii") as file:
        file.write(PRELOAD)
    subprocess.run([os.environ.get("CC", "cc"), "-O2", "-shared", "-fPIC", "-o",
                    os.path.join(directory, "preload.so"), os.path.join(directory, "preload.c"),
                    "-ldl"], check=True)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def make_checker(workshop, as_root):
    directory = tempfile.mkdtemp(dir=workshop)
    os.chmod(directory, 0o755)
    if not as_root:
        os.chown(directory, UID, GID)
    checker = Checker(os.path.join(workshop, "pop3d-checkpw"), directory, as_root)
    checker.write(checker.entry())
    return checker


@pytest.fixture(params=["root", "user"] if ROOT else ["user"])
def checker(workshop, request):
    """Run by root for another user, and by an ordinary user for that user."""
    return make_checker(workshop, request.param == "root")


@pytest.fixture
def root_checker(workshop):
    return make_checker(workshop, True)


@pytest.fixture
def user_checker(workshop):
    return make_checker(workshop, False)


@pytest.fixture
def notes(checker, workshop):
    """Preloads the library. Call it for the lines that were noted."""
    checker.preload = os.path.join(workshop, "preload.so")
    path = os.path.join(checker.directory, "notes")
    with open(path, "w", encoding="latin-1"):
        pass
    os.chmod(path, 0o666)
    checker.notes_env = {"TEST_NOTES": path}

    def read():
        with open(path, encoding="latin-1") as file:
            return file.read().splitlines()
    return read


def has_pam(workshop):
    """A build without PAM does not name the library."""
    with open(os.path.join(workshop, "pop3d-checkpw-host"), "rb") as file:
        return b"libpam.so" in file.read()


# ---- a good login ---------------------------------------------------------------------------

def test_good_login_becomes_the_user_in_the_home(checker):
    result = checker.login()
    seen = result.seen
    assert seen["uid"] == [str(UID)] * 4
    assert seen["gid"] == [str(GID)] * 4
    assert seen["cwd"] == checker.home
    assert {name: seen["env"].get(name) for name in ("USER", "HOME", "SHELL", "MAILDIR")} == {
        "USER": "joe", "HOME": checker.home, "SHELL": "/bin/sh", "MAILDIR": None}
    assert result.err == ""


@needs_root
def test_root_gives_up_groups_and_capabilities(root_checker):
    before = os.getgroups()
    os.setgroups([0, 4, 27, 4323])  # Inherited groups, which must be lost.
    try:
        seen = root_checker.login().seen
    finally:
        os.setgroups(before)
    assert seen["groups"] == [str(GID)]
    assert seen["capabilities"] == 0


def test_arguments_and_the_rest_of_the_environment_are_passed_on(checker):
    seen = checker.run("--session", "-f", "a b", "", data=credentials("joe", "secret"),
                       env={"TCPREMOTEIP": "192.0.2.7", "EXTRA": "x"}).seen
    assert seen["argv"] == ["--session", "-f", "a b", ""]
    assert seen["env"]["TCPREMOTEIP"] == "192.0.2.7" and seen["env"]["EXTRA"] == "x"


def test_double_dash_ends_the_options(checker):
    assert checker.login(options=["-f", checker.file, "--"]).seen["cwd"] == checker.home
    assert checker.login(options=["--file=" + checker.file]).seen["cwd"] == checker.home


def test_maildir_of_the_entry_is_in_the_environment(checker):
    checker.write(checker.entry(maildir="mail/in box"))
    assert checker.login(env={"MAILDIR": "other"}).seen["env"]["MAILDIR"] == "mail/in box"


@pytest.mark.parametrize("maildir", [None, ""])
def test_no_maildir_in_the_entry_leaves_the_variable_alone(checker, maildir):
    checker.write(checker.entry(maildir=maildir))
    assert "MAILDIR" not in checker.login().seen["env"]
    assert checker.login(env={"MAILDIR": "other"}).seen["env"]["MAILDIR"] == "other"


def test_descriptor_3_is_closed_and_others_survive(checker):
    with tempfile.TemporaryFile() as file:
        seen = checker.login(fds={7: file.fileno(), 5: file.fileno()}).seen
    assert seen["open"] == [0, 1, 2, 5, 7]


def test_closed_standard_descriptors_are_taken_while_it_works(checker, notes):
    """Otherwise the next file that it opens gets that number, and output of a PAM module goes
    there.
    """
    checker.run(fds={0: None, 1: None, 2: None}, data=credentials("joe", "secret"),
                env=checker.notes_env)
    assert "standard descriptors 1 1 1" in notes(), notes()


def test_closed_standard_descriptors_are_closed_in_the_program(checker):
    with tempfile.TemporaryFile() as file:
        result = checker.run("/bin/sh", "-c", "ls /proc/$$/fd >&7",
                             data=credentials("joe", "secret"),
                             fds={0: None, 1: None, 2: None, 7: file.fileno()}, probe=False)
        file.seek(0)
        seen = file.read().split()
    assert result.status == 0, result
    assert b"7" in seen and not {b"0", b"2"} & set(seen), seen


def test_sigpipe_is_for_the_program_as_it_was(checker):
    result = checker.run("/bin/grep", "^SigIgn:", "/proc/self/status", probe=False,
                         data=credentials("joe", "secret"))
    assert int(result.out.split()[1], 16) & 1 << (signal.SIGPIPE - 1) == 0, result


def test_a_log_without_reader_does_not_stop_a_login(checker):
    checker.write("nonsense", checker.entry())
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert checker.login(fds={2: writer}).seen["cwd"] == checker.home
    finally:
        os.close(writer)


# ---- refusals -------------------------------------------------------------------------------

@pytest.mark.parametrize("login, password", [
    ("joe", "Secret"), ("joe", "secret "), ("joe", " secret"), ("joe", "secre"),
    ("joe", "secrets"), ("joe", "s"), ("joe", HASH), ("Joe", "secret"), ("joe ", "secret"),
    ("jo", "secret"), ("nobody-here", "secret"), ("root", "secret"), ("joe:x", "secret"),
    ("joe:" + HASH, "secret"), ("joe\n", "secret"), ("\njoe", "secret"), ("#joe", "secret"),
    ("jo\xe9", "secret"), ("*", "secret"), (":", ":"), ("x" * 400, "secret")])
def test_wrong_login_or_password(checker, login, password):
    result = checker.refuses(login, password)
    assert result.err.count("\n") == 1, result


@pytest.mark.parametrize("login, password", [("", "secret"), ("joe", ""), ("", "")])
def test_empty_login_or_password(checker, login, password):
    checker.write(checker.entry(), checker.entry("empty", crypt_hash("", "$5$", 1000)))
    checker.refuses(login, password)


def test_empty_password_is_refused_even_if_its_hash_matches(checker):
    checker.write(checker.entry(hashed=crypt_hash("", "$5$", 1000)))
    checker.refuses("joe", "")


def test_log_names_login_and_address(checker):
    assert checker.refuses("joe", "wrong").err == (
        "pop3d-checkpw: checkpw-refused ip=192.0.2.1 user=joe\n")


def test_log_is_the_same_for_unknown_login_and_wrong_password(checker):
    wrong, unknown = checker.refuses("joe", "wrong"), checker.refuses("jim", "wrong")
    assert wrong.err.replace("joe", "LOGIN") == unknown.err.replace("jim", "LOGIN")


def test_control_characters_of_a_login_are_escaped_in_the_log(checker):
    text = checker.refuses('a\n\x1b[2J"\xff\x7fb', "wrong").err
    assert text.count("\n") == 1 and r'"a\x0a\x1b[2J\x22\xff\x7fb"' in text, text


def test_logins_of_eight_bit_octets_and_blanks_work(checker):
    checker.write(checker.entry("jos\xe9 m\xfcller@example.org"))
    assert checker.login("jos\xe9 m\xfcller@example.org").seen["cwd"] == checker.home


def test_apop_is_refused_and_says_why(checker):
    result = checker.refuses(env={"AUTH_MECHANISM": "APOP"})
    assert "APOP" in result.err
    assert checker.login(env={"AUTH_MECHANISM": "USER"}).status == 0


# ---- descriptor 3 ---------------------------------------------------------------------------

def test_512_octets_are_taken(checker):
    password = "p" * (512 - len("joe") - 2 - 1)
    checker.write(checker.entry(hashed=crypt_hash(password, "$5$", 1000)))
    data = credentials("joe", password, "")
    assert len(data) == 512
    assert checker.run(data=data).seen["cwd"] == checker.home


@pytest.mark.parametrize("octets", [513, 514, 1024, 60000])
def test_more_than_512_octets_are_refused(checker, octets):
    data = credentials("joe", "secret")
    result = checker.run(data=data + b"x" * (octets - len(data)))
    assert result.status == REFUSED and result.out == "", result


def test_octets_after_the_timestamp_are_ignored(checker):
    data = credentials("joe", "secret")
    for more in (b"x" * (512 - len(data)), b"\0\0\0", b"joe\0wrong\0"):
        assert checker.run(data=data + more).seen["cwd"] == checker.home


@pytest.mark.parametrize("data", [
    b"", b"joe", b"joe secret", b"x" * 512, b"joe\0", b"joe\0secret", b"joe\0" + b"s" * 508])
def test_missing_nul_is_misuse(checker, data):
    result = checker.run(data=data)
    assert result.status == MISUSED and result.out == "", result
    assert "NUL" in result.err


@pytest.mark.parametrize("data", [b"joe\0secret\0", b"joe\0secret\0<1.2@h"])
def test_timestamp_need_not_be_complete(checker, data):
    assert checker.run(data=data).seen["cwd"] == checker.home


def test_credentials_in_single_octets(checker):
    """Short reads. The pipe can even be non-blocking."""
    for nonblocking in (False, True):
        reader, writer = os.pipe()
        os.set_blocking(reader, not nonblocking)
        pid = os.fork()
        if pid == 0:
            for octet in credentials("joe", "secret"):
                os.write(writer, bytes([octet]))
                time.sleep(0.002)
            os._exit(0)
        os.close(writer)
        try:
            result = checker.run(fds={3: reader})
        finally:
            os.close(reader)
            os.waitpid(pid, 0)
        assert result.seen["cwd"] == checker.home


def test_descriptor_3_may_be_a_socket_or_a_file(checker):
    ours, theirs = socket.socketpair()
    with ours, theirs, tempfile.TemporaryFile() as file:
        ours.sendall(credentials("joe", "secret"))
        ours.shutdown(socket.SHUT_WR)
        assert checker.run(fds={3: theirs.fileno()}).seen["cwd"] == checker.home
        file.write(credentials("joe", "secret"))
        file.seek(0)
        assert checker.run(fds={3: file.fileno()}).seen["cwd"] == checker.home


def test_descriptor_3_that_cannot_be_read_is_misuse(checker):
    directory = os.open(checker.directory, os.O_RDONLY)
    reader, writer = os.pipe()
    try:
        for fd in (None, writer, directory):
            result = checker.run(fds={3: fd})
            assert result.status == MISUSED and "descriptor 3" in result.err, (fd, result)
    finally:
        for fd in (directory, reader, writer):
            os.close(fd)


# ---- options --------------------------------------------------------------------------------

@pytest.mark.parametrize("options", [
    ["--bogus"], ["-x"], ["-f"], ["--file"], ["--system=x"], ["--system", "-f", "x"],
    ["--hash", "--system"], ["--help", "--version"], ["--version", "-f", "x"],
    ["--hash", "a", "b"], ["--help", "a"], ["--hash", "a:b"], ["--hash", ""], ["--hash", "#a"],
    ["--hash", "a\nb"], ["--hash", "x" * 256]])
def test_wrong_options(checker, options):
    result = checker.run(options=options, probe=False)
    assert result.status == MISUSED and result.out == "", result
    assert result.err.startswith("pop3d-checkpw: "), result


def test_no_program(checker):
    result = checker.run(data=credentials("joe", "secret"), probe=False)
    assert result.status == MISUSED, result
    assert "no program" in result.err and "usage:" in result.err, result


@pytest.mark.parametrize("option, text", [("--help", "usage: pop3d-checkpw"),
                                          ("--version", "pop3d-checkpw ")])
def test_help_and_version(checker, option, text):
    result = checker.run(options=[option], probe=False)
    assert result.status == 0 and result.err == "" and result.out.startswith(text), result


def test_help_lists_every_exit_status(checker):
    text = checker.run(options=["--help"], probe=False).out
    for status in (REFUSED, MISUSED, MISCONFIGURED, TEMPORARY, NOT_EXECUTABLE, NOT_FOUND):
        assert f" {status} " in text.replace("\n", " "), text


@pytest.mark.parametrize("option", ["--help", "--version", "--hash"])
def test_nothing_for_people_during_a_conversation(checker, option):
    result = checker.run(options=[option], data=credentials("joe", "secret"), probe=False)
    assert result.status == MISUSED and result.out == "", result


def test_a_write_only_descriptor_3_is_no_conversation(checker):
    """Some installers keep their own standard output there."""
    with open(os.devnull, "wb") as null:
        assert checker.run(options=["--version"], fds={3: null.fileno()}, probe=False).status == 0


def test_descriptor_3_that_just_happens_to_be_open_is_no_conversation(checker):
    """A file, or a pipe into which nobody has written: shells and make leave such behind."""
    reader, writer = os.pipe()
    with open(checker.binary, "rb") as file:
        for fd in (reader, file.fileno()):
            result = checker.run(options=["--version"], fds={3: fd}, probe=False)
            assert result.status == 0 and result.out.startswith("pop3d-checkpw "), result
    os.close(reader)
    os.close(writer)


def test_set_uid_is_refused(workshop, root_checker):
    if not ROOT:
        pytest.skip("a binary that is set-uid to somebody else needs root to make")
    root_checker.write(root_checker.entry())
    binary = os.path.join(root_checker.directory, "set-uid")
    shutil.copy(root_checker.binary, binary)
    os.chmod(binary, 0o4755)
    root_checker.binary, root_checker.as_root = binary, False
    result = root_checker.login()
    if "cannot open" in result.err:
        pytest.skip("the file system here ignores set-uid")
    assert result.status == MISUSED and "set-uid" in result.err, result


# ---- the program ----------------------------------------------------------------------------

def test_program_that_is_not_there(checker):
    for name in ("/nonexistent/program", "no-such-program-here", "./missing",
                 "/etc/passwd/program"):
        result = checker.run(name, data=credentials("joe", "secret"), probe=False)
        assert result.status == NOT_FOUND and name in result.err, result


def test_program_that_cannot_be_executed(checker):
    plain = os.path.join(checker.home, "plain")
    with open(plain, "w", encoding="ascii") as file:
        file.write("text")
    os.chmod(plain, 0o644)
    for name in (plain, "/etc", "./plain"):
        result = checker.run(name, data=credentials("joe", "secret"), probe=False)
        assert result.status == NOT_EXECUTABLE and "checkpw-not-run" in result.err, result


def test_relative_program_is_sought_in_the_home(checker):
    script = os.path.join(checker.home, "script")
    with open(script, "w", encoding="ascii") as file:
        file.write("#!/bin/sh\necho ran $1\nexit 42\n")
    os.chmod(script, 0o755)
    result = checker.run("./script", "x", data=credentials("joe", "secret"), probe=False)
    assert (result.status, result.out) == (42, "ran x\n"), result


@pytest.mark.parametrize("error, status", [
    (errno.E2BIG, TEMPORARY), (errno.EAGAIN, TEMPORARY), (errno.ENOMEM, TEMPORARY),
    (errno.EIO, TEMPORARY), (errno.EPERM, NOT_EXECUTABLE), (errno.ELOOP, NOT_EXECUTABLE)])
def test_other_failures_of_exec(checker, notes, error, status):
    result = checker.login(env={"TEST_EXEC_ERRNO": str(error)})
    assert result.status == status and os.strerror(error) in result.err, result


# ---- the password file: can it be trusted? --------------------------------------------------

@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o644])
def test_file_that_only_its_owner_can_write_is_used(checker, mode):
    checker.write(checker.entry(), mode=mode)
    assert checker.login().seen["cwd"] == checker.home


@pytest.mark.parametrize("mode, warns", [(0o600, False), (0o440, False), (0o640, False),
                                         (0o644, True), (0o604, True), (0o444, True)])
def test_file_that_everybody_can_read_is_used_with_a_warning(checker, mode, warns):
    checker.write(checker.entry(), mode=mode)
    result = checker.login()
    assert result.seen["cwd"] == checker.home
    line = f"checkpw-file-readable file={checker.file} "
    assert (line in result.err and 'help="chmod o-r"' in result.err) is warns, result
    assert warns or result.err == "", result


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o660, 0o606, 0o666, 0o622, 0o777])
def test_file_that_others_can_write_is_refused(checker, mode):
    checker.write(checker.entry(), mode=mode)
    result = checker.login()
    assert result.status == MISCONFIGURED and result.out == "", result
    assert checker.file in result.err and "write" in result.err, result


def test_unsafe_file_answers_wrong_passwords_alike(checker):
    checker.write(checker.entry(), mode=0o666)
    assert checker.login(password="wrong").status == MISCONFIGURED


@needs_root
def test_file_of_another_user_is_refused(checker):
    checker.write(checker.entry(), mode=0o644)
    os.chown(checker.file, UID + 1, GID)
    result = checker.login()
    assert result.status == MISCONFIGURED and "belongs to neither" in result.err, result


@needs_root
def test_file_of_root_is_good_for_everybody(checker):
    checker.write(checker.entry(), mode=0o644)
    os.chown(checker.file, 0, 0)
    assert checker.login().seen["cwd"] == checker.home


def replace_by_nothing(path):
    os.unlink(path)


def replace_by_directory(path):
    os.unlink(path)
    os.mkdir(path, 0o755)


def replace_by_fifo(path):
    os.unlink(path)
    os.mkfifo(path, 0o644)
    os.chmod(path, 0o644)


def replace_by_dangling_link(path):
    os.unlink(path)
    os.symlink("nowhere", path)


def replace_by_circle(path):
    os.unlink(path)
    os.symlink(os.path.basename(path), path)


@pytest.mark.parametrize("replace", [
    replace_by_nothing, replace_by_directory, replace_by_fifo, replace_by_dangling_link,
    replace_by_circle])
def test_file_that_is_none(checker, replace):
    replace(checker.file)
    result = checker.login()
    assert result.status == MISCONFIGURED and checker.file in result.err, result


def test_link_to_a_good_file_is_followed(checker):
    os.rename(checker.file, checker.file + ".real")
    os.symlink("passwd.real", checker.file)
    assert checker.login().seen["cwd"] == checker.home


def test_file_that_cannot_be_read(user_checker):
    os.chmod(user_checker.file, 0)
    result = user_checker.login()
    assert result.status == MISCONFIGURED and "Permission denied" in result.err, result


def test_default_file(checker):
    if os.path.exists("/etc/pop3d/passwd"):
        pytest.skip("this host has an /etc/pop3d/passwd of its own")
    result = checker.login(options=[])
    assert result.status == MISCONFIGURED and "/etc/pop3d/passwd" in result.err, result


# ---- the password file: its lines -----------------------------------------------------------

def test_comments_and_empty_lines(checker):
    checker.write("# joe:x:1:1:/", "", "   ", "\t", "  # indented", checker.entry(), "", "#")
    result = checker.login()
    assert result.seen["cwd"] == checker.home and result.err == "", result


def test_commented_entry_does_not_count(checker):
    checker.write("#" + checker.entry(), checker.entry("other"))
    checker.refuses("joe")
    checker.refuses("#joe")


def test_crlf_line_ends(checker):
    checker.write("# comment", "", checker.entry(), checker.entry("jim", maildir="box"), end="\r\n")
    result = checker.login()
    assert result.seen["cwd"] == checker.home and result.err == "", result
    assert checker.login("jim").seen["env"]["MAILDIR"] == "box"


def test_last_line_without_line_end(checker):
    checker.write(checker.entry("jim"), "\n" + checker.entry(), end="")
    assert checker.login().seen["cwd"] == checker.home


@pytest.mark.parametrize("lines", [[], ["# nobody"], [""]])
def test_file_without_entries_refuses_everybody(checker, lines):
    checker.write(*lines)
    checker.refuses()


BAD_FIELDS = {
    "uid is a word": {"uid": "x"}, "uid is empty": {"uid": ""}, "uid has a sign": {"uid": "-1"},
    "uid has a plus": {"uid": "+1"}, "uid with more after": {"uid": "1x"},
    "uid after a blank": {"uid": " 1"}, "uid is hexadecimal": {"uid": "0x10"},
    "uid is -1 unsigned": {"uid": 2**32 - 1}, "uid of 33 bits": {"uid": 2**32 + UID},
    "uid of 65 bits": {"uid": 2**64 + UID}, "uid of root": {"uid": 0}, "uid 00": {"uid": "00"},
    "gid is a word": {"gid": "x"}, "gid is empty": {"gid": ""}, "gid is -1": {"gid": 2**32 - 1},
    "gid of 65 bits": {"gid": 2**64 + GID}, "home is relative": {"home": "tmp"},
    "home is dot": {"home": "."}, "home with tab": {"home": "/\ttmp"},
    "home is too long": {"home": "/" * 1024}, "maildir is too long": {"maildir": "x" * 1024},
    "seven fields": {"maildir": "a:b"}, "empty hash": {"hashed": ""},
    "hash in clear text": {"hashed": "secret"}, "hash too long": {"hashed": HASH + "x" * 400},
    "login after a blank": {"login": " bad"}, "login with escape": {"login": "b\x1bad"},
    "login too long": {"login": "b" * 256}, "empty login": {"login": ""},
    "NUL in home": {"home": "/\0tmp"}, "NUL before hash": {"hashed": "\0" + HASH},
    "CR inside": {"home": "/\rtmp"},
}


@pytest.mark.parametrize("fields", BAD_FIELDS.values(), ids=BAD_FIELDS.keys())
def test_malformed_field(checker, fields):
    """It is logged with its number and never matches. The lines before and after it still work."""
    bad = {"login": "bad", **fields}
    checker.write(checker.entry("first"), checker.entry(**bad), checker.entry("last"))
    for login in ("first", "last"):
        result = checker.login(login)
        assert result.seen["cwd"] == checker.home
        assert result.err.count("\n") == 1 and f"checkpw-line-ignored file={checker.file} line=2 " in result.err
    for login in {"bad", bad["login"] or "bad"}:
        result = checker.refuses(login)
        assert "line=2 " in result.err and "$5$" not in result.err, result


@pytest.mark.parametrize("line", ["bad", "bad:", "bad::::", ":", "::::::::", "bad:" + HASH,
                                  f"bad:{HASH}:{UID}", f"bad:{HASH}:{UID}:{GID}", "\0", "\x7f"])
def test_malformed_line(checker, line):
    checker.write(line, checker.entry())
    result = checker.login()
    assert result.seen["cwd"] == checker.home and "checkpw-line-ignored" in result.err and "line=1 " in result.err, result
    assert "line=1 " in checker.refuses("bad").err


def test_many_malformed_lines_are_logged_in_few(checker):
    checker.write(*["nonsense"] * 1000, checker.entry())
    result = checker.login()
    assert result.seen["cwd"] == checker.home
    assert result.err.count("\n") == 9 and "lines=1000" in result.err, result


@pytest.mark.parametrize("octets", [3073, 4096, 100_000, 1_000_000])
def test_overlong_line_is_skipped_whole(checker, octets):
    checker.write(checker.entry("first"), "bad:" + "x" * octets, checker.entry("last"))
    for login in ("first", "last"):
        result = checker.login(login)
        assert result.seen["cwd"] == checker.home
        assert "line=2 problem=\"it is too long\"" in result.err, result


def test_rest_of_an_overlong_line_is_no_entry(checker):
    """Octets after the end of a buffer must not count as a line, wherever the buffer ends."""
    evil = checker.entry("evil")
    for octets in [*range(3050, 3080), *range(6120, 6150), 4096, 8192, 65536]:
        checker.write(checker.entry(), "x" * octets + evil)
        assert checker.login("evil").status == REFUSED, octets
        checker.write(checker.entry(), "x" * octets + "\r" + evil)
        assert checker.login("evil").status == REFUSED, octets


def test_longest_line(checker):
    """3071 octets, in a comment, because no entry is as long."""
    checker.write("#" + "x" * 3070, checker.entry())
    result = checker.login()
    assert result.seen["cwd"] == checker.home and result.err == "", result
    checker.write("#" + "x" * 3071, checker.entry())
    result = checker.login()
    assert result.seen["cwd"] == checker.home and "checkpw-line-ignored" in result.err and "line=1 " in result.err, result


def test_longest_fields(checker):
    login, maildir = "l" * 255, "m" * 1023
    home = checker.home + "/" * (1023 - len(checker.home))
    checker.write(checker.entry(login, home=home, maildir=maildir))
    result = checker.login(login)
    assert result.seen["env"]["MAILDIR"] == maildir and result.seen["env"]["USER"] == login


def test_many_entries(checker):
    """More than one buffer, so that lines cross its end."""
    entries = [checker.entry(f"user{i}", hashed=OTHER_HASH) for i in range(3000)]
    checker.write(*entries, checker.entry(), *entries)
    result = checker.login()
    assert result.seen["cwd"] == checker.home and result.err == "", result
    checker.refuses("user1500")
    assert checker.login("user1500", "another").seen["env"]["USER"] == "user1500"


def test_last_entry_of_a_login_counts_and_earlier_ones_are_logged(checker):
    """A password is changed by appending a line."""
    checker.write(checker.entry(hashed=OTHER_HASH), checker.entry("jim"),
                  checker.entry(maildir="second"), checker.entry(maildir="last"))
    result = checker.login()
    assert result.seen["env"]["MAILDIR"] == "last", result
    lines = result.err.splitlines()
    assert len(lines) == 2 and all("checkpw-line-replaced" in line for line in lines), result
    assert " line=1 by=3 user=joe" in lines[0] and " line=3 by=4 user=joe" in lines[1], result
    checker.refuses(password="another")
    assert checker.login("jim").err == ""


@pytest.mark.parametrize("lock", ["!", "*", "!!", "*LK*", "!" + HASH, "*" + HASH, "*0", "*1"])
def test_locked_entry(checker, lock):
    """Refused without a word about the line, and a second entry does not open it."""
    checker.write(checker.entry(hashed=lock), checker.entry())
    result = checker.refuses()
    assert result.err.count("\n") == 1, result
    checker.write(checker.entry(), checker.entry(hashed=lock))
    checker.refuses()


# ---- hashes ---------------------------------------------------------------------------------

STRONG = {"$y$": 1, "$gy$": 1, "$7$": 6, "$2b$": 4, "$2y$": 4, "$2a$": 4, "$6$": 1000, "$5$": 1000}
WEAK = {"": 0, "_": 0, "$1$": 0, "$3$": 0, "$sha1": 0, "$md5": 0, "$2x$": 4}


@pytest.mark.parametrize("kind", STRONG)
def test_strong_hash(checker, kind):
    hashed = crypt_hash("secret", kind, STRONG[kind])
    if hashed is None:
        pytest.skip("crypt(3) has it not here")
    checker.write(checker.entry(hashed=hashed))
    assert checker.login().seen["cwd"] == checker.home
    checker.refuses(password="Secret")
    checker.refuses(password="secret ")


@pytest.mark.parametrize("kind", WEAK)
def test_weak_hash_never_matches(checker, kind):
    hashed = crypt_hash("secret", kind, WEAK[kind])
    if hashed is None:
        pytest.skip("crypt(3) has it not here")
    checker.write(checker.entry(hashed=hashed))
    result = checker.refuses()
    assert "line=1 problem=\"the hash" in result.err and hashed not in result.err, result


def test_hash_of_eight_bit_password(checker):
    checker.write(checker.entry(hashed=libcrypt.crypt(b"s\xe9cret \x01", b"$5$salt").decode()))
    assert checker.login(password="s\xe9cret \x01").seen["cwd"] == checker.home
    checker.refuses(password="s\xe8cret \x01")


@pytest.mark.parametrize("hashed", [
    HASH[:-1], HASH + "x", HASH[:12], "$5$", "$5$salt", "$5$salt$", "$y$", "$y$j9T$", "$y$!$x$y",
    "$2b$", "$2b$99$abc", "$6$rounds=abc$salt$x", "$7$", "$gy$x", "$5$*0"])
def test_damaged_hash_never_matches(checker, hashed):
    checker.write(checker.entry(hashed=hashed), checker.entry("jim"))
    checker.refuses()
    checker.refuses("jane")
    assert checker.login("jim").seen["cwd"] == checker.home


@pytest.mark.parametrize("error", [errno.ENOMEM, errno.EINVAL])
def test_crypt_that_cannot_work_is_temporary(checker, notes, error):
    for login in ("joe", "unknown"):
        result = checker.login(login, env={"TEST_CRYPT_ERRNO": str(error)})
        assert result.status == TEMPORARY and "crypt" in result.err, result


@pytest.mark.parametrize("kind, cost", [("$6$", 400_000), ("$y$", 8)])
def test_unknown_login_costs_the_time_of_a_wrong_password(user_checker, kind, cost):
    hashed = crypt_hash("secret", kind, cost)
    if hashed is None:
        pytest.skip("crypt(3) has it not here")

    def cpu_seconds(logins):
        """The least of several runs in turns, because other load only adds time."""
        runs = [[user_checker.refuses(login, "wrong").cpu_seconds for login in logins]
                for _ in range(7)]
        return dict(zip(logins, map(min, zip(*runs))))

    user_checker.write(user_checker.entry(hashed=crypt_hash("secret", "$5$", 1000)))
    cheap = cpu_seconds(["joe"])["joe"]
    user_checker.write(user_checker.entry("locked", "!"), "nonsense",
                       user_checker.entry("other", hashed), user_checker.entry(hashed=hashed))
    seconds = cpu_seconds(["joe", "unknown", "locked", "not:possible"])
    assert seconds["joe"] > 2 * cheap, f"too cheap a hash to show anything: {cheap}, {seconds}"
    for login in seconds:
        assert 0.6 < seconds[login] / seconds["joe"] < 1.6, (login, seconds)


def settings(lines):
    """Kind, cost and salt of what was computed, as crypt(3) was asked for it."""
    return [line.split()[1] for line in lines if line.startswith("setting ")]


def test_unknown_login_is_compared_with_the_first_hash_of_the_file(checker, notes):
    """The same as above without a clock: crypt(3) is asked for the same computation, once."""
    checker.write(checker.entry("locked", "!" + HASH), checker.entry("weak", "$1$x$y"),
                  checker.entry("other", OTHER_HASH), checker.entry("jim"))
    for login in ("unknown", "locked", "weak", "not:possible", "other"):
        checker.refuses(login, "wrong", env=checker.notes_env)
    assert settings(notes()) == [OTHER_HASH.rsplit("$", 1)[0]] * 5


@pytest.mark.parametrize("hashed", ["$5$*", "$y$!"])
def test_unusable_hash_costs_a_usual_one(checker, notes, hashed):
    checker.write(checker.entry(hashed=hashed))
    for login in ("joe", "unknown"):
        checker.refuses(login, "wrong", env=checker.notes_env)
    asked = settings(notes())
    assert len(asked) >= 4 and asked[1].startswith("$y$j9T") and asked[3] == asked[1], asked


def test_file_without_hashes_costs_a_usual_one(checker, notes):
    checker.write()
    checker.refuses("joe", "wrong", env=checker.notes_env)
    assert settings(notes())[0].startswith("$y$j9T"), notes()


# ---- who it becomes -------------------------------------------------------------------------

@needs_root
@pytest.mark.parametrize("call", ["setgroups", "setgid", "setuid"])
def test_identity_that_did_not_change_is_noticed(root_checker, workshop, call):
    """The call reports success and does nothing, so the program must not run."""
    root_checker.preload = os.path.join(workshop, "preload.so")
    assert root_checker.login().status == 0
    before = os.getgroups()
    os.setgroups([0, 4])
    try:
        result = root_checker.login(env={"TEST_LIE": call})
    finally:
        os.setgroups(before)
    assert result.status == TEMPORARY and result.out == "", result
    assert "were not given up" in result.err, result


@needs_root
def test_root_without_the_right_to_change_is_temporary(root_checker):
    root_checker.prefix = [shutil.which("setpriv"), "--bounding-set=-setuid,-setgid",
                           "--inh-caps=-setuid,-setgid"]
    result = root_checker.login()
    assert result.status == TEMPORARY and "Operation not permitted" in result.err, result
    assert root_checker.login(password="wrong").status == REFUSED


@pytest.mark.parametrize("uid, gid", [(UID + 1, GID), (UID, GID + 1), (UID + 1, GID + 1)])
def test_without_root_other_users_are_temporary_trouble(user_checker, uid, gid):
    user_checker.write(user_checker.entry(uid=uid, gid=gid))
    result = user_checker.login()
    assert result.status == TEMPORARY and result.out == "", result
    assert f"uid={uid} gid={gid} " in result.err and "only root" in result.err, result
    assert user_checker.login(password="wrong").status == REFUSED


@needs_root
def test_without_root_groups_are_left_alone(user_checker):
    user_checker.prefix = [shutil.which("setpriv"), f"--reuid={UID}", f"--regid={GID}",
                           "--groups=4444,4445"]
    user_checker.as_root = True  # setpriv does it.
    assert sorted(user_checker.login().seen["groups"]) == ["4444", "4445"]


@pytest.mark.parametrize("name, error", [("missing", "No such file"), ("file", "Not a directory")])
def test_home_that_cannot_be_entered(checker, name, error):
    home = os.path.join(checker.home, name)
    with open(os.path.join(checker.home, "file"), "wb"):
        pass
    checker.write(checker.entry(home=home))
    result = checker.login()
    assert result.status == TEMPORARY and result.out == "", result
    assert home in result.err and error in result.err, result
    assert checker.login(password="wrong").status == REFUSED


@needs_root
def test_home_is_entered_as_the_user(checker):
    """A directory that root can enter and the user cannot is not a home."""
    os.chown(checker.home, 0, 0)
    os.chmod(checker.home, 0o700)
    result = checker.login()
    assert result.status == TEMPORARY and "Permission denied" in result.err, result


# ---- where messages go ----------------------------------------------------------------------

CLIENT_CASES = {
    "refusal": {"data": credentials("joe", "wrong")},
    "misuse": {"data": b"nonsense"},
    "no descriptor 3": {},
    "no program": {"data": credentials("joe", "secret"), "probe": False},
    "wrong option": {"options": ["--bogus"]},
    "help": {"options": ["--help"], "data": b"x"},
    "no file": {"data": credentials("joe", "secret"), "options": ["-f", "/nonexistent"]},
}


@pytest.mark.parametrize("case", CLIENT_CASES.values(), ids=CLIENT_CASES.keys())
@pytest.mark.parametrize("kind", ["socket", "pipe"])
def test_nothing_reaches_the_client(checker, notes, case, kind):
    """Under inetd descriptors 0, 1 and 2 are the client, so messages go to syslog."""
    if kind == "socket":
        ours, theirs = (end.detach() for end in socket.socketpair())
        given = {0: theirs, 1: theirs, 2: theirs}
    else:
        ours, theirs = os.pipe()
        given = {1: theirs, 2: theirs}
    try:
        result = checker.run(fds=given, env=checker.notes_env, **case)
    finally:
        os.close(theirs)
        with open(ours, "rb") as file:
            received = file.read()
    assert result.status in (REFUSED, MISUSED, MISCONFIGURED), result
    assert received == b""
    assert any(line.startswith("syslog ") for line in notes()), notes()


def test_closed_standard_error_means_syslog(checker, notes):
    result = checker.run(fds={2: None}, data=credentials("joe", "wrong"), env=checker.notes_env)
    assert result.status == REFUSED
    assert [re.sub(r"pop3d-checkpw\[\d+\]: ", "", line)
            for line in notes() if line.startswith("syslog ")] == [
        "syslog 5 checkpw-refused ip=192.0.2.1 user=joe"]


def test_standard_error_of_its_own_means_no_syslog(checker, notes):
    result = checker.refuses(password="wrong", env=checker.notes_env)
    assert result.err != "" and not [line for line in notes() if line.startswith("syslog")]


# ---- memory ---------------------------------------------------------------------------------

def coded(text):
    return bytes(octet ^ 0x55 for octet in text.encode()).hex()


def counts(notes, when, name):
    return [int(line.split()[2]) for line in notes() if line.startswith(f"{when} {name} ")]


@pytest.mark.parametrize("kind, cost", [("$y$", 1), ("$6$", 1000), ("$2b$", 4)])
def test_neither_password_nor_hash_is_in_memory_at_exec(checker, notes, kind, cost):
    password = "correct horse battery staple"
    hashed = crypt_hash(password, kind, cost)
    if hashed is None:
        pytest.skip("crypt(3) has it not here")
    checker.write(checker.entry("jim", OTHER_HASH), checker.entry(hashed=hashed))
    result = checker.login(password=password, env={
        **checker.notes_env, "TEST_SECRET": coded(password), "TEST_HASH": coded(hashed[-20:])})
    assert result.seen["cwd"] == checker.home
    for name in ("TEST_SECRET", "TEST_HASH"):
        assert counts(notes, "crypt", name)[0] >= 1, "the search finds nothing at all"
        assert counts(notes, "exec", name) == [0]


# ---- --hash ---------------------------------------------------------------------------------

def make_hash(checker, octets, *login):
    reader, writer = os.pipe()
    os.write(writer, octets)
    os.close(writer)
    try:
        return checker.run(options=["--hash", *login], fds={0: reader}, probe=False)
    finally:
        os.close(reader)


def test_hash_works_in_an_entry(checker):
    result = make_hash(checker, b"se cret\xe9\n")
    assert result.status == 0 and result.err == "" and result.out.count("\n") == 1, result
    assert result.out.startswith("$y$" if crypt_hash("x", "$y$", 1) else "$"), result
    checker.write(checker.entry(hashed=result.out.strip()))
    assert checker.login(password="se cret\xe9").seen["cwd"] == checker.home
    checker.refuses(password="se cret")


def test_hashes_of_one_password_differ(checker):
    assert make_hash(checker, b"secret\n").out != make_hash(checker, b"secret\n").out


@pytest.mark.parametrize("octets", [b"secret", b"secret\r\n", b"secret\nmore\nlines\n",
                                    b"secret\r"])
def test_hash_takes_one_line(checker, octets):
    checker.write(checker.entry(hashed=make_hash(checker, octets).out.strip()))
    assert checker.login(password="secret").seen["cwd"] == checker.home


@pytest.mark.parametrize("octets", [b"", b"\n", b"\r\n", b"a\0b\n", b"a\rb\n", b"x" * 249 + b"\n",
                                    b"x" * 249, b"x" * 249 + b"\r\n", b"x" * 60000 + b"\n"])
def test_hash_of_no_usable_password(checker, octets):
    result = make_hash(checker, octets)
    assert result.status == REFUSED and result.out == "" and "checkpw-no-hash" in result.err, result


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_hash_of_the_longest_password(checker, end):
    hashed = make_hash(checker, b"x" * 248 + end)
    assert hashed.status == 0
    checker.write(checker.entry(hashed=hashed.out.strip()))
    assert checker.login(password="x" * 248).seen["cwd"] == checker.home
    checker.refuses(password="x" * 247)


def test_hash_of_an_unknown_login_is_a_line_to_complete(root_checker):
    if not ROOT:
        pytest.skip("anybody but root gets a complete line")
    result = make_hash(root_checker, b"secret\n", "new@example.org")
    assert result.status == 0 and "UID" in result.err, result
    assert result.out.startswith("new@example.org:$") and ":UID:GID:/home/" in result.out, result
    root_checker.write(result.out.strip())
    assert "line=1 " in root_checker.refuses("new@example.org").err
    # with the colons: a hash can have the letters UID in it
    root_checker.write(result.out.strip().replace(":UID:GID:", f":{UID}:{GID}:")
                       .replace("/home/new@example.org", root_checker.home))
    assert root_checker.login("new@example.org").seen["cwd"] == root_checker.home


def test_hash_of_an_account_has_its_ids(checker):
    account = pwd.getpwnam("daemon")
    fields = make_hash(checker, b"secret\n", "daemon").out.strip().split(":")
    assert [fields[0], *fields[2:]] == ["daemon", str(account.pw_uid), str(account.pw_gid),
                                        account.pw_dir]


def test_hash_never_fills_in_uid_0(root_checker):
    if not ROOT:
        pytest.skip("anybody but root gets their own uid for unknown logins only")
    assert ":UID:GID:" in make_hash(root_checker, b"secret\n", "root").out


def test_hash_to_a_full_device(checker):
    with open("/dev/full", "wb") as full, tempfile.TemporaryFile() as file:
        file.write(b"secret\n")
        file.seek(0)
        result = checker.run(options=["--hash"], fds={0: file.fileno(), 1: full.fileno()},
                             probe=False)
    assert result.status == TEMPORARY and "No space left" in result.err, result


class Terminal:
    """pop3d-checkpw --hash on a terminal of its own. Its standard output is a file."""

    def __init__(self, checker, *login):
        self.screen, self.echo_seen = b"", None
        self.out = tempfile.TemporaryFile()
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.dup2(self.out.fileno(), 1)
            os.closerange(3, 256)
            signal.alarm(SECONDS)
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # A shell ignores it in the background.
            environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
            os.execve(checker.binary, [checker.binary, "--hash", *login], environment)

    def echoes(self):
        return bool(termios.tcgetattr(self.master)[3] & termios.ECHO)

    def wait_for(self, text):
        deadline = time.monotonic() + SECONDS
        while text not in self.screen:
            assert time.monotonic() < deadline, self.screen
            if select.select([self.master], [], [], 1)[0]:
                self.screen += os.read(self.master, 1000)
        return self.screen

    def type(self, octets):
        os.write(self.master, octets)

    def end(self):
        """The wait status. The terminal was looked at while it still existed."""
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                break
            if select.select([self.master], [], [], 0.05)[0]:
                with contextlib.suppress(OSError):
                    self.screen += os.read(self.master, 1000)
        with contextlib.suppress(OSError):
            while select.select([self.master], [], [], 0)[0]:
                self.screen += os.read(self.master, 1000)
        os.close(self.master)
        self.out.seek(0)
        self.printed = self.out.read().decode()
        self.out.close()
        return status


def test_hash_on_a_terminal_asks_twice_and_shows_nothing(user_checker):
    terminal = Terminal(user_checker)
    terminal.wait_for(b"Password: ")
    assert not terminal.echoes()
    terminal.type(b"secret\n")
    terminal.wait_for(b"Again: ")
    assert not terminal.echoes()
    terminal.type(b"secret\n")
    assert terminal.end() == 0, terminal.screen
    assert b"secret" not in terminal.screen
    user_checker.write(user_checker.entry(hashed=terminal.printed.strip()))
    assert user_checker.login(password="secret").seen["cwd"] == user_checker.home


def test_hash_on_a_terminal_wants_the_same_password_twice(user_checker):
    terminal = Terminal(user_checker)
    terminal.wait_for(b"Password: ")
    terminal.type(b"secret\n")
    terminal.wait_for(b"Again: ")
    terminal.type(b"secreT\n")
    assert os.waitstatus_to_exitcode(terminal.end()) == REFUSED
    assert b"differ" in terminal.screen and terminal.printed == ""


def test_hash_interrupted_leaves_the_terminal_as_it_was(user_checker):
    held = None
    terminal = Terminal(user_checker)
    try:
        terminal.wait_for(b"Password: ")
        held = fcntl.ioctl(terminal.master, TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY)
        assert not terminal.echoes()
        terminal.type(b"sec\x03")
        master = os.dup(terminal.master)
        status = terminal.end()
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGINT, status
        assert termios.tcgetattr(master)[3] & termios.ECHO
        os.close(master)
        assert terminal.printed == "" and b"sec" not in terminal.screen
    finally:
        if held is not None:
            os.close(held)


def test_errors_show_on_a_terminal(user_checker):
    """Descriptors 0, 1 and 2 are one file here as well, but a person reads it."""
    terminal = Terminal(user_checker, "a:b")
    assert os.waitstatus_to_exitcode(terminal.end()) == MISUSED
    assert b"a login has" in terminal.screen


# ---- --system -------------------------------------------------------------------------------

# A module that does what its first argument says.
MODULE = r"""
#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void leave_a_file(pam_handle_t *pam, void *path, int status)
{
	(void)pam, (void)status;
	close(open(path, O_WRONLY | O_CREAT, 0600));
	free(path);
}

static int ask(pam_handle_t *pam, int style)
{
	char *answer = NULL;
	int result = pam_prompt(pam, style, &answer, "?");

	if (result == PAM_SUCCESS && style == PAM_PROMPT_ECHO_OFF)
		result = answer && strcmp(answer, "secret") == 0 ? PAM_SUCCESS : PAM_AUTH_ERR;
	if (answer)
		memset(answer, 0, strlen(answer));
	free(answer);
	return result;
}

static int act(pam_handle_t *pam, int argc, const char **argv)
{
	const char *what = argc > 0 ? argv[0] : "";

	if (strncmp(what, "return=", 7) == 0)
		return atoi(what + 7);
	if (strncmp(what, "user=", 5) == 0)
		return pam_set_item(pam, PAM_USER, what + 5);
	if (strncmp(what, "end=", 4) == 0)
		return pam_set_data(pam, "test", strdup(what + 4), leave_a_file);
	if (strcmp(what, "shown") == 0)
		return ask(pam, PAM_PROMPT_ECHO_ON);
	if (strcmp(what, "unseen") == 0)
		return ask(pam, PAM_PROMPT_ECHO_OFF);
	if (strcmp(what, "text") == 0)
		return ask(pam, PAM_TEXT_INFO) | ask(pam, PAM_ERROR_MSG);
	return PAM_SERVICE_ERR;
}

int pam_sm_authenticate(pam_handle_t *pam, int flags, int argc, const char **argv)
{
	(void)flags;
	return act(pam, argc, argv);
}

int pam_sm_acct_mgmt(pam_handle_t *pam, int flags, int argc, const char **argv)
{
	(void)flags;
	return act(pam, argc, argv);
}

int pam_sm_setcred(pam_handle_t *pam, int flags, int argc, const char **argv)
{
	(void)pam, (void)flags, (void)argc, (void)argv;
	return PAM_SUCCESS;
}
"""

ACCOUNT = f"pop3dt{os.getpid()}"
ACCOUNT_UID, ACCOUNT_GID = 4331, 4332
ACCOUNT_SHELL = "/usr/sbin/nologin"
PAM_SERVICE = "/etc/pam.d/pop3"


def in_own_mounts(binds):
    """A command that puts these files in the place of others, for itself and the programs it runs."""
    mounts = " && ".join(f"mount --bind {ours} {theirs}" for theirs, ours in binds.items())
    return ["/usr/bin/unshare", "-m", "--propagation", "private", "/bin/sh", "-c",
            f"{mounts} && exec \"$@\"", "sh"]


class OwnEtc:
    """Accounts and the service are in copies that only the checker sees, so nothing is changed."""

    def __init__(self, directory):
        self.directory = os.path.join(directory, "etc")
        os.mkdir(self.directory)
        shutil.copytree("/etc/pam.d", os.path.join(self.directory, "pam.d"))
        for name in ("passwd", "shadow", "group"):
            shutil.copy2(f"/etc/{name}", self.directory)
        self.prefix = in_own_mounts({f"/etc/{name}": os.path.join(self.directory, name)
                                     for name in ("pam.d", "passwd", "shadow", "group")})
        self.service = os.path.join(self.directory, "pam.d", "pop3")

    def append(self, name, line):
        with open(os.path.join(self.directory, name), "a", encoding="ascii") as file:
            file.write(line + "\n")

    def add_account(self, home, hashed):
        self.append("passwd", f"{ACCOUNT}:x:{ACCOUNT_UID}:{ACCOUNT_GID}::{home}:{ACCOUNT_SHELL}")
        self.append("group", f"{ACCOUNT}:x:{ACCOUNT_GID}:\n{ACCOUNT}x:x:4333:{ACCOUNT}\n"
                             f"{ACCOUNT}y:x:4334:root,{ACCOUNT}")
        self.append("shadow", f"{ACCOUNT}:{hashed}:20000:0:99999:7:::")

    def change_shadow(self, hashed, rest="20000:0:99999:7:::"):
        path = os.path.join(self.directory, "shadow")
        with open(path, encoding="ascii") as file:
            kept = [line for line in file if not line.startswith(ACCOUNT + ":")]
        with open(path, "w", encoding="ascii") as file:
            file.writelines(kept)
        self.append("shadow", f"{ACCOUNT}:{hashed}:{rest}")

    def close(self):
        pass


class RealEtc:
    """Where a private mount is not possible: a temporary account of this host."""

    def __init__(self, _directory):
        if os.path.exists(PAM_SERVICE):
            pytest.skip(f"this host has a {PAM_SERVICE} of its own, and allows no private mounts")
        self.prefix, self.service = [], PAM_SERVICE

    def command(self, *words):
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def add_account(self, home, hashed):
        self.command("groupadd", "-g", str(ACCOUNT_GID), ACCOUNT)
        self.command("groupadd", "-g", "4333", ACCOUNT + "x")
        self.command("groupadd", "-g", "4334", ACCOUNT + "y")
        self.command("useradd", "-M", "-d", home, "-s", ACCOUNT_SHELL, "-u", str(ACCOUNT_UID),
                     "-g", ACCOUNT, "-G", f"{ACCOUNT}x,{ACCOUNT}y", "-p", hashed, ACCOUNT)

    def change_shadow(self, hashed, rest="20000:0:99999:7:::"):
        changed, _, most, _, _, expires, _ = rest.split(":")
        self.command("usermod", "-p", hashed, ACCOUNT)
        self.command("chage", "-d", changed, "-M", most, "-E", expires or "-1", ACCOUNT)

    def close(self):
        for words in (["userdel", ACCOUNT], ["groupdel", ACCOUNT], ["groupdel", ACCOUNT + "x"],
                      ["groupdel", ACCOUNT + "y"], ["rm", "-f", PAM_SERVICE]):
            subprocess.run(words, check=False, capture_output=True)


class PamHost:
    def __init__(self, checker, etc, modules):
        self.checker, self.etc, self.modules = checker, etc, modules
        etc.add_account(checker.home, HASH)
        os.chown(checker.home, ACCOUNT_UID, ACCOUNT_GID)
        checker.prefix = etc.prefix

    def service(self, *lines):
        with open(self.etc.service, "w", encoding="ascii") as file:
            file.write("".join(line.replace("TEST", self.modules) + "\n" for line in lines))
        os.chmod(self.etc.service, 0o644)

    def login(self, login=ACCOUNT, password="secret", **options):
        return self.checker.login(login, password, options=["--system"], **options)

    def refuses(self, login=ACCOUNT, password="secret", **options):
        return self.checker.refuses(login, password, options=["--system"], **options)


PERMIT = ("auth required pam_permit.so", "account required pam_permit.so")
UNIX = ("auth required pam_unix.so nodelay nullok", "account required pam_unix.so")


@pytest.fixture(scope="session")
def pam_module(workshop):
    path = os.path.join(workshop, "pam_test.so")
    with open(os.path.join(workshop, "pam_test.c"), "w", encoding="ascii") as file:
        file.write(MODULE)
    subprocess.run([os.environ.get("CC", "cc"), "-O2", "-shared", "-fPIC", "-o", path,
                    os.path.join(workshop, "pam_test.c"), "-lpam"], check=True)
    return path


@pytest.fixture
def pam(workshop, root_checker, request):
    if not ROOT:
        pytest.skip("accounts and a PAM service can be made by root only")
    if not has_pam(workshop):
        pytest.skip("this is a build without PAM")
    module = request.getfixturevalue("pam_module")
    own = subprocess.run([*in_own_mounts({"/etc/passwd": "/etc/passwd"}), "/bin/true"],
                         check=False, capture_output=True).returncode == 0
    etc = (OwnEtc if own else RealEtc)(root_checker.directory)
    try:
        host = PamHost(root_checker, etc, module)
        host.service(*UNIX)
        yield host
    finally:
        etc.close()


def test_system_in_a_build_without_pam(workshop, checker):
    if has_pam(workshop):
        pytest.skip("this is a build with PAM")
    result = checker.login(options=["--system"])
    assert result.status == MISUSED and "without PAM" in result.err, result


@pytest.mark.parametrize("arguments, data", [
    (["--system", "/bin/true"], credentials("joe", "secret")), (["--hash", "joe"], None)])
def test_accounts_of_the_host_need_the_second_program(checker, arguments, data):
    alone = os.path.join(checker.directory, "pop3d-checkpw")
    shutil.copy(checker.binary, alone)
    checker.binary = alone
    result = checker.run(data=data, options=arguments, probe=False)
    assert (result.status, result.out) == (MISCONFIGURED, ""), result
    assert f"checkpw-not-run program={alone}-host errno=2 " in result.err, result


def test_the_password_file_needs_the_first_program_only(checker):
    alone = os.path.join(checker.directory, "pop3d-checkpw")
    shutil.copy(checker.binary, alone)
    checker.binary = alone
    assert checker.login().seen["cwd"] == checker.home
    with open(alone, "rb") as file:
        assert b"libpam.so" not in file.read()


def test_system_refuses_a_wrong_password_with_the_pam_of_this_host(workshop, checker):
    if not has_pam(workshop):
        pytest.skip("this is a build without PAM")
    for login in (pwd.getpwuid(os.getuid()).pw_name, "daemon", "no-such-account"):
        checker.refuses(login, "surely not the password", options=["--system"])


def test_system_account_logs_in(pam):
    seen = pam.login().seen
    assert seen["uid"] == [str(ACCOUNT_UID)] * 4 and seen["gid"] == [str(ACCOUNT_GID)] * 4
    assert sorted(seen["groups"]) == [str(ACCOUNT_GID), "4333", "4334"]
    assert seen["cwd"] == pam.checker.home and seen["open"] == [0, 1, 2]
    assert {name: seen["env"].get(name) for name in ("USER", "HOME", "SHELL", "MAILDIR")} == {
        "USER": ACCOUNT, "HOME": pam.checker.home, "SHELL": ACCOUNT_SHELL, "MAILDIR": None}


def test_system_refusals_do_not_tell_unknown_from_wrong(pam):
    wrong = pam.refuses(password="wrong")
    unknown = pam.refuses("no-such-account")
    assert wrong.err.replace(ACCOUNT, "LOGIN") == unknown.err.replace("no-such-account", "LOGIN")


@pytest.mark.parametrize("auth", ["auth required pam_unix.so", "auth requisite pam_faildelay.so "
                                  "delay=3000000\nauth required pam_unix.so"])
def test_system_is_not_delayed_by_pam(pam, auth):
    """PAM delays by a random time of seconds, and its modules ask for it where an account exists."""
    pam.service(auth, "account required pam_unix.so")
    times = {ACCOUNT: [], "no-such-account": []}
    for _ in range(7):
        for login, taken in times.items():
            begin = time.monotonic()
            pam.refuses(login, "wrong")
            taken.append(time.monotonic() - begin)
    middle = [sorted(taken)[3] for taken in times.values()]
    assert max(middle) < 0.9 and abs(middle[0] - middle[1]) < 0.2, times


def test_system_refuses_locked_and_expired_accounts(pam):
    for hashed, rest in (("!" + HASH, "20000:0:99999:7:::"), ("*", "20000:0:99999:7:::"),
                         (HASH, "20000:0:99999:7::1:"), (HASH, "0:0:99999:7:::")):
        pam.etc.change_shadow(hashed, rest)
        pam.refuses()
    pam.etc.change_shadow(HASH)
    assert pam.login().status == 0


def test_system_refuses_accounts_without_password(pam):
    pam.etc.change_shadow("")
    pam.refuses(password="")
    pam.refuses(password="x")


def test_system_never_serves_root_nor_asks_pam(pam):
    """The time that PAM takes would tell whether the password of root was right."""
    told = os.path.join(pam.checker.directory, "told")
    pam.service("auth required pam_exec.so /usr/bin/touch " + told, *PERMIT)
    pam.refuses("root")
    assert not os.path.exists(told)
    assert pam.login().status == 0 and os.path.exists(told)


def test_system_never_serves_root_by_another_name(pam):
    pam.service("auth required TEST user=root", *PERMIT)
    pam.refuses()


def test_system_refuses_names_that_are_paths_or_worse(pam):
    pam.service(*PERMIT)
    for login in ("../" + ACCOUNT, ACCOUNT + "/", ACCOUNT + "\n", "a:b", "", "#x"):
        pam.refuses(login)


def test_system_denied_by_auth_or_account(pam):
    pam.service("auth required pam_deny.so", "account required pam_permit.so")
    assert pam.refuses().err.count("\n") == 1
    pam.service("auth required pam_permit.so", "account required pam_deny.so")
    assert "checkpw-pam step=account user=" in pam.refuses().err


def test_system_takes_the_name_that_pam_makes_of_the_login(pam):
    pam.service(f"auth required TEST user={ACCOUNT}", *PERMIT)
    assert pam.login("alias").seen["env"]["USER"] == ACCOUNT


def test_system_account_that_the_host_does_not_know(pam):
    pam.service(*PERMIT)
    result = pam.login("no-such-account")
    assert result.status == MISCONFIGURED and "no such account" in result.err, result


def test_system_answers_unseen_questions_only(pam):
    pam.service("auth required TEST unseen", "auth required TEST unseen", PERMIT[1])
    assert pam.login().status == 0
    pam.refuses(password="wrong")
    pam.service("auth required TEST unseen", "auth required TEST shown", PERMIT[1])
    result = pam.login()
    assert result.status == MISCONFIGURED and "more than a password" in result.err, result


def test_system_ignores_texts_of_modules(pam):
    pam.service("auth required TEST text", "auth required TEST unseen",
                "account required TEST text")
    result = pam.login()
    assert result.status == 0 and result.err == "", result


@pytest.mark.parametrize("code, status", [
    (7, REFUSED), (10, REFUSED), (11, REFUSED), (6, REFUSED), (13, REFUSED), (12, REFUSED),
    (4, TEMPORARY), (9, TEMPORARY), (5, TEMPORARY), (26, TEMPORARY), (3, TEMPORARY),
    (8, MISCONFIGURED), (28, MISCONFIGURED)])
def test_system_exit_status_by_what_pam_says(pam, code, status):
    pam.service(f"auth required TEST return={code}", PERMIT[1])
    result = pam.login()
    assert result.status == status and result.out == "", result
    assert (result.err.count("\n") == 1) and ("checkpw-pam" in result.err) == (status != REFUSED)


def test_system_with_a_module_that_is_missing(pam):
    pam.service("auth required pam_no_such_module.so", PERMIT[1])
    assert pam.login().status == MISCONFIGURED


def test_system_tells_modules_where_the_client_is(pam):
    script, told = (os.path.join(pam.checker.directory, name) for name in ("script", "told"))
    with open(script, "w", encoding="ascii") as file:
        file.write("#!/bin/sh\nread -r password\n"
                   "echo \"$PAM_SERVICE $PAM_TTY $PAM_RHOST $PAM_USER $password\" "
                   f"| tr -d '\\000' >>{told}\n")
    os.chmod(script, 0o755)
    pam.service(f"auth required pam_exec.so expose_authtok {script}", PERMIT[1])
    assert pam.login().status == 0
    with open(told, encoding="ascii") as file:
        assert file.read() == f"pop3 pop3 192.0.2.1 {ACCOUNT} secret\n"


@pytest.mark.parametrize("more, status", [("pam_permit.so", 0), ("pam_deny.so", REFUSED)])
def test_system_lets_modules_clean_up(pam, more, status):
    told = os.path.join(pam.checker.directory, "told")
    pam.service("auth required TEST end=" + told, "auth required " + more, PERMIT[1])
    assert pam.login().status == status and os.path.exists(told)


def test_system_opens_no_session(pam):
    told = os.path.join(pam.checker.directory, "told")
    line = "required pam_exec.so /usr/bin/touch " + told
    pam.service(*PERMIT, "session " + line)
    assert pam.login().status == 0 and not os.path.exists(told)
    pam.service("auth " + line, *PERMIT)
    assert pam.login().status == 0 and os.path.exists(told)


def test_system_with_the_service_file_of_the_package(pam):
    if not os.path.exists("/etc/pam.d/common-auth"):
        pytest.skip("the service file is for systems like Debian")
    shutil.copy(os.path.join(os.path.dirname(TESTS), "pam.d", "pop3"), pam.etc.service)
    os.chmod(pam.etc.service, 0o644)
    assert pam.login().seen["uid"] == [str(ACCOUNT_UID)] * 4
    pam.refuses(password="wrong")


def test_system_wipes_the_password(pam, workshop):
    path = os.path.join(pam.checker.directory, "notes")
    with open(path, "w", encoding="ascii"):
        os.chmod(path, 0o666)
    password = "correct horse battery staple"
    pam.etc.change_shadow(crypt_hash(password, "$5$", 1000))
    pam.checker.preload = os.path.join(workshop, "preload.so")
    assert pam.login(password=password, env={
        "TEST_NOTES": path, "TEST_SECRET": coded(password)}).status == 0
    with open(path, encoding="ascii") as file:
        lines = file.read().splitlines()
    # pam_unix of Debian 13 leaves the hash to a helper: then there is no such line
    found = counts(lambda: lines, "crypt", "TEST_SECRET")
    assert not found or max(found) >= 1, lines
    assert set(counts(lambda: lines, "exec", "TEST_SECRET")) == {0}, lines
