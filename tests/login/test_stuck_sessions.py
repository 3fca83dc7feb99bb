"""A session that does nothing any more ends, and gives the superserver its place back."""
import os
import re
import shutil
import signal
import subprocess
import time

import pytest

import jail
from harness import MAIL_GID, MAIL_UID, ROOT, retry_until
from launch import Script

SBIN = "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"


@pytest.fixture(params=["root", "user"] if ROOT else ["user"])
def uid(request):
    return None if request.param == "root" else MAIL_UID


def log_in(lab, home, *options, **how):
    home.add_seeds()
    server = lab.serve(home, *options, **how)
    server.line()
    server.ask(f"USER {home.login}")
    assert server.ask(f"PASS {home.password}").startswith("+OK 4 messages"), server.report()
    return server


def killed(server, reason):
    line = retry_until(lambda: re.search(r"session-killed .*", server.log()))
    assert line and f"reason={reason} " in line[0], server.report()


def state_of(pid):
    return jail.read_status(pid)["State"][0]


@pytest.mark.parametrize("transport", ["tcp", "socketpair", "pipes"])
def test_a_stopped_session_whose_client_is_gone_is_ended(lab, home, uid, transport):
    """Its user can stop it; it must not hold a place of the server for ever."""
    server = log_in(lab, home, "--idle-timeout", "1", uid=uid, transport=transport)
    session = jail.Roles(server, lab.pop3d).wait_for_session()
    os.kill(session, signal.SIGSTOP)
    assert retry_until(lambda: state_of(session) == "T")
    begin = time.monotonic()
    server.close()
    server.ended()
    assert time.monotonic() - begin < 5
    killed(server, "client-gone")
    assert "session-ended" not in server.log() and "session-died" not in server.log()


def test_a_stopped_session_with_a_client_is_ended(lab, home, uid):
    """So is one that waits for a file server: both use no processor time."""
    server = log_in(lab, home, "--idle-timeout", "1", uid=uid)
    os.kill(jail.Roles(server, lab.pop3d).wait_for_session(), signal.SIGSTOP)
    begin = time.monotonic()
    assert server.rest() == b"", server.report()
    server.ended()
    assert 10 < time.monotonic() - begin < 20
    killed(server, "stalled")


def test_the_session_is_the_one_that_says_so(lab, home, uid):
    """A checker may fork and wait: its own processor time says nothing about the session."""
    checker = Script(home, "import os, sys\\n"
                           "pid = os.fork()\\n"
                           "if pid == 0:\\n"
                           "    os.setgroups([]) if os.getuid() == 0 else None\\n"
                           "    os.execv('@CHECKER@', ['@CHECKER@', '@TABLE@', *sys.argv[1:]])\\n"
                           "os.waitpid(pid, 0)\\n"
                           .replace("\\n", "\n").replace("@CHECKER@", lab.checker)
                           .replace("@TABLE@", home.table), python=True)
    server = log_in(lab, home, "--idle-timeout", "1", uid=uid, checker=[checker.path])
    for _ in range(4):  # more than a quarter of the time that it may be idle
        time.sleep(0.6)
        assert server.ask("NOOP") == "+OK", server.report()
    session = next(pid for pid, (parent, name) in server.processes().items()
                   if name == "pop3d" and parent != server.process.pid
                   and pid != server.process.pid)
    os.kill(session, signal.SIGSTOP)
    server.close()
    server.ended()
    killed(server, "client-gone")


def test_a_session_that_times_out_is_not_killed(lab, home):
    server = log_in(lab, home, "--idle-timeout", "1")
    assert server.rest() == b"", server.report()
    server.ended()
    assert "logout " in server.log() and "reason=timeout" in server.log()
    assert "session-killed" not in server.log(), server.report()


def messages_left(home):
    return len(home.maildir.names())


@pytest.mark.parametrize("checker", ["", "closes all above 2"])
def test_an_update_is_finished_however_long_it_takes(lab, home, checker):
    """SIGTERM comes in the middle; an update that is slow but goes on is not killed after it."""
    for n in range(25000):
        home.maildir.add(f"{1000000000 + n}.a,S=3", b"x\n", "cur")
    own = {}
    if checker:
        own["checker"] = [Script(home, "import os, sys\nos.closerange(4, 256)\n"
                                       f"os.execv('{lab.checker}', ['{lab.checker}', '{home.table}', "
                                       "*sys.argv[1:]])\n", python=True).path]
    server = lab.serve(home, "--no-index", transport="tcp", **own)
    server.line()
    server.ask(f"USER {home.login}")
    assert server.ask(f"PASS {home.password}").startswith("+OK 25000"), server.report()
    session = jail.Roles(server, lab.pop3d).wait_for_session()
    deletions = b"".join(b"DELE %d\r\n" % (n + 1) for n in range(25000))
    server.exchange(deletions, lambda: b"message 25000 deleted" in server.got)
    server.send(b"QUIT\r\n")
    assert retry_until(lambda: messages_left(home) < 25000)
    os.kill(session, signal.SIGSTOP)
    left = messages_left(home)
    assert left > 10000
    os.kill(server.process.pid, signal.SIGTERM)
    begin = time.monotonic()
    while time.monotonic() - begin < 8:  # slow, and longer than the grace of five seconds
        os.kill(session, signal.SIGCONT)
        time.sleep(0.0005)
        os.kill(session, signal.SIGSTOP)
        time.sleep(0.5)
    assert 0 < messages_left(home) < left, "the test was too slow or too fast"
    os.kill(session, signal.SIGCONT)
    assert retry_until(lambda: "logout " in server.log()), server.report()
    server.ended()
    assert messages_left(home) == 0
    assert "dele=25000/" in server.log() and "session-ended" in server.log(), server.report()
    assert re.search(rb"\+OK .*signing off", server.rest()), server.report()


def test_a_stopped_session_does_not_outlive_the_grace(lab, home, uid):
    server = log_in(lab, home, uid=uid, transport="tcp")
    session = jail.Roles(server, lab.pop3d).wait_for_session()
    os.kill(session, signal.SIGSTOP)
    assert retry_until(lambda: state_of(session) == "T")
    begin = time.monotonic()
    os.kill(server.process.pid, signal.SIGTERM)
    server.ended()
    assert 4 < time.monotonic() - begin < 9
    assert "session-ended" in server.log(), server.report()


@pytest.fixture
def disk(home):
    """A file system that can stop answering, in the place of the Maildir."""
    tools = ("mkfs.ext4", "fsfreeze", "losetup")
    if not ROOT or not all(shutil.which(tool, path=SBIN) for tool in tools):
        pytest.skip("needs root, e2fsprogs and util-linux")
    image, place = home.path + ".image", os.fsdecode(home.maildir.path)
    with open(image, "wb") as file:
        file.truncate(16 << 20)
    subprocess.run([shutil.which("mkfs.ext4", path=SBIN), "-q", image], check=True)
    if subprocess.run(["mount", "-o", "loop", image, place], check=False,
                      capture_output=True).returncode != 0:
        pytest.skip("no file can be mounted here")
    try:
        for sub in ("new", "cur", "tmp"):
            os.mkdir(os.path.join(place, sub), 0o700)
        subprocess.run(["chown", "-R", f"{MAIL_UID}:{MAIL_GID}", place], check=True)
        yield place
    finally:
        subprocess.run([shutil.which("fsfreeze", path=SBIN), "-u", place], check=False,
                       capture_output=True)
        retry_until(lambda: subprocess.run(["umount", place], check=False,
                                           capture_output=True).returncode == 0, step=0.1)


def test_a_session_that_cannot_be_killed_is_logged_and_left(lab, home, disk):
    """It waits for a file system that does not answer, and not even SIGKILL ends that."""
    server = log_in(lab, home, "--idle-timeout", "1", "--no-index", transport="tcp")
    session = jail.Roles(server, lab.pop3d).wait_for_session()
    server.ask("DELE 1")
    subprocess.run([shutil.which("fsfreeze", path=SBIN), "-f", disk], check=True)
    begin = time.monotonic()
    server.send(b"QUIT\r\n")
    assert server.rest(40) == b"", server.report()
    assert server.process.wait(20) != 0
    assert 10 < time.monotonic() - begin < 30
    killed(server, "stalled")
    assert f"process-unkillable ip=127.0.0.1 pid={session} user=" in server.log(), server.report()
    assert state_of(session) == "D"
    subprocess.run([shutil.which("fsfreeze", path=SBIN), "-u", disk], check=True)
    assert retry_until(lambda: not server.processes())
