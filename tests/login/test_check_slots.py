"""How many passwords pop3d-checkpw checks at a time on a host."""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest

from harness import MAIL_GID, MAIL_UID, ROOT, retry_until
from test_checkpw import BUILD, credentials, crypt_hash, has_pam

REFUSED, TEMPORARY = 1, 111
FIRST_OCTET = 1 << 30
CHEAP = crypt_hash("secret", "$5$", 1000)
DEAR = crypt_hash("secret", "$y$")  # 16 MiB
BOTH = ["root", "user"] if ROOT else ["user"]

HOLD = f"""
import fcntl, os, struct, sys, time
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
fcntl.fcntl(fd, fcntl.F_SETLK, struct.pack("hhqqi", fcntl.F_WRLCK, 0, {FIRST_OCTET}, int(sys.argv[2]), 0))
print("held", flush=True)
time.sleep(600)
"""


class Host:
    """A /run of its own where root checks; a password file of its own where somebody else does."""

    def __init__(self, directory, as_root):
        self.as_root = as_root
        self.directory = directory
        self.file = os.path.join(directory, "passwd")
        self.program = os.path.join(directory, "pop3d-checkpw")
        self.enter, self.running = [], []
        for name in ("pop3d-checkpw", "pop3d-checkpw-host"):
            shutil.copy(os.path.join(BUILD, name), directory)
        self.user = (MAIL_UID, MAIL_GID) if ROOT else (os.getuid(), os.getgid())
        os.chmod(directory, 0o755)
        self.write(CHEAP)
        if as_root:
            holder = self.start(["unshare", "-m", "sh", "-c",
                                 "mount -t tmpfs none /run && echo ready && exec sleep 600"],
                                stdout=subprocess.PIPE)
            if holder.stdout.readline() != b"ready\n":
                pytest.skip("no mount namespace can be made here")
            self.enter = ["nsenter", "-t", str(holder.pid), "-m", "-r", "-w"] # this may be a chroot
        self.slots = "/run/pop3d/checks" if as_root else self.file

    def write(self, hashed, mode=0o600):
        with open(self.file, "w", encoding="ascii") as file:
            file.write(f"joe:{hashed}:{self.user[0]}:{self.user[1]}:/\n")
        os.chmod(self.file, mode)
        if not self.as_root:
            os.chown(self.file, *self.user)

    def start(self, command, **how):
        if not self.as_root and ROOT:
            how.update(user=self.user[0], group=self.user[1], extra_groups=[])
        process = subprocess.Popen([*self.enter, *command], **how)
        self.running.append(process)
        return process

    def check(self, *options, login="joe", password="secret"):
        reader, writer = os.pipe()
        os.write(writer, credentials(login, password))
        os.close(writer)
        options = options if "--system" in options else ("-f", self.file, *options)
        process = self.start(["/bin/sh", "-c", 'exec "$@" 3<&0 </dev/null', "sh", self.program,
                              *options, "true"], stdin=reader, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE)
        os.close(reader)
        return process

    def status(self, *options, **how):
        process = self.check(*options, **how)
        log = process.communicate(timeout=60)[1].decode()
        return process.returncode, log

    def hold(self, count):
        """A process that has so many slots."""
        self.status()  # it makes the file
        holder = self.start([sys.executable, "-c", HOLD, self.slots, str(count)],
                            stdout=subprocess.PIPE)
        assert holder.stdout.readline() == b"held\n"
        return holder

    def end(self):
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.communicate()


@pytest.fixture(params=BOTH)
def host(request):
    directory = tempfile.mkdtemp(prefix="pop3d-slots-test.")
    host = Host(directory, request.param == "root")
    yield host
    host.end()
    shutil.rmtree(directory)


def with_a_hash(processes):
    large = set()
    for process in processes:
        try:
            with open(f"/proc/{process.pid}/statm", encoding="ascii") as file:
                if int(file.read().split()[1]) * 4096 > 12 << 20:
                    large.add(process.pid)
        except (OSError, IndexError):
            pass
    return large


def most_at_once(host, count, *options):
    """The most processes that were seen to have the memory of a hash, of so many guesses."""
    host.write(DEAR)
    started = [host.check(*options, password="wrong") for _ in range(count)]
    most = 0
    while any(process.poll() is None for process in started):
        # what is large in both had its memory between them, at the same time as the others
        large = with_a_hash(started) & with_a_hash(started)
        most = max(most, len(large))
    assert [process.returncode for process in started] == [REFUSED] * count
    return most


@pytest.mark.skipif(DEAR is None, reason="crypt(3) has no yescrypt here")
def test_so_many_are_checked_at_a_time_and_the_others_wait(host):
    assert 1 <= most_at_once(host, 24, "--max-checks", "2") <= 2


@pytest.mark.skipif(DEAR is None, reason="crypt(3) has no yescrypt here")
def test_there_is_a_bound_by_default(host):
    assert most_at_once(host, 40) <= max(8, 2 * os.cpu_count())


@pytest.mark.parametrize("login", ["joe", "nobody"])
def test_who_waits_too_long_is_told_to_come_again(host, login):
    """A user who exists and one who does not wait alike."""
    holder = host.hold(4)
    begin = time.monotonic()
    status, log = host.status("--max-checks", "4", "--max-wait", "1", login=login)
    assert status == TEMPORARY and 0.9 < time.monotonic() - begin < 5, log
    assert "checkpw-busy most=4 seconds=1" in log
    assert "checkpw-refused" not in log
    assert host.status("--max-checks", "5", "--max-wait", "1")[0] == 0
    holder.kill()
    holder.wait()
    assert host.status("--max-checks", "4", "--max-wait", "1")[0] == 0


def test_a_slot_that_becomes_free_is_taken(host):
    holder = host.hold(4)
    waiting = host.check("--max-checks", "4")
    time.sleep(0.3)
    assert waiting.poll() is None
    holder.kill()
    assert waiting.wait(10) == 0


def test_0_is_no_bound(host):
    host.hold(4096)
    assert host.status("--max-checks", "0")[0] == 0


@pytest.mark.parametrize("option", ["--max-checks=x", "--max-checks=-1", "--max-checks=5000",
                                    "--max-wait=x", "--max-wait=90000", "--max-checks"])
def test_wrong_numbers_are_wrong_use(host, option):
    assert host.status(option)[0] == 2


@pytest.mark.parametrize("host", BOTH[:1], indirect=True)
def test_pam_is_bounded_as_well(host):
    if not host.as_root or not has_pam(host.directory):
        pytest.skip("needs root, and a program with PAM")
    host.hold(4)
    status, log = host.status("--system", "--max-checks", "4", "--max-wait", "0")
    assert status == TEMPORARY and "checkpw-busy" in log


@pytest.mark.parametrize("host", BOTH[:1], indirect=True)
def test_no_other_user_can_take_the_slots_of_root(host):
    if not host.as_root:
        pytest.skip("needs root")
    assert host.status() == (0, "")
    shown = subprocess.run([*host.enter, "stat", "-c", "%u %a", "/run/pop3d", "/run/pop3d/checks"],
                           capture_output=True, check=True).stdout.decode().split()
    assert shown[0::2] == ["0", "0"] and shown[3] == "600" and shown[1] in ("755", "700")


@pytest.mark.parametrize("host", BOTH[:1], indirect=True)
@pytest.mark.parametrize("spoil", ["chmod 644 /run/pop3d/checks", "chown 1 /run/pop3d/checks",
                                   "rm /run/pop3d/checks; ln -s /etc/hostname /run/pop3d/checks",
                                   "rm -r /run/pop3d; touch /run/pop3d",
                                   "mount -o remount,ro /run; rm -rf /run/pop3d"])
def test_a_file_that_others_can_open_is_not_used_and_logins_go_on(host, spoil):
    if not host.as_root:
        pytest.skip("needs root")
    host.status()
    if spoil.startswith("mount"):
        spoil = "rm -r /run/pop3d; mount -o remount,ro /run"
    subprocess.run([*host.enter, "sh", "-c", spoil], check=True)
    status, log = host.status()
    assert status == 0 and "checkpw-unbounded path=/run/pop3d/checks errno=" in log, log


@pytest.mark.parametrize("host", BOTH[-1:], indirect=True)
def test_a_password_file_that_others_can_read_is_not_locked(host):
    """They could keep a slot for ever, by a lock for reading."""
    host.write(CHEAP, 0o640)
    host.hold(4)
    status, log = host.status("--max-checks", "4", "--max-wait", "0")
    assert status == 0 and "checkpw-busy" not in log


def test_a_guess_that_was_given_up_keeps_no_slot(lab, home, host):
    """The checker ends with the process that started it, whatever it waits for."""
    host.hold(4)
    pop3d = os.path.join(host.directory, "pop3d")
    shutil.copy(lab.pop3d, pop3d)
    front = host.start([pop3d, "--fail-delay", "0", "--", host.program, "-f", host.file,
                        "--max-checks", "4"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                       stderr=subprocess.DEVNULL)
    front.stdin.write(b"USER joe\r\nPASS secret\r\n")
    front.stdin.flush()

    def checkers():
        return subprocess.run(["pgrep", "-f", f"^{host.program}"], capture_output=True,
                              check=False).stdout.split()
    assert retry_until(checkers)
    os.kill(front.pid, signal.SIGKILL)
    front.wait()
    assert retry_until(lambda: not checkers())
