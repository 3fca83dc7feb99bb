"""A machine of its own for a test: namespaces with a private /etc, /usr/local, /var, /run and /dev.

A test can follow doc/SETUP to the letter in it: commands, paths, ports and users. Every process in
it ends with it. Clients outside have the address CLIENT, the machine has SERVER.
"""
import os
import re
import shutil
import socket
import stat
import subprocess
import threading

import pytest

import harness
from harness import ROOT, retry_until
from jail import SANITIZED
from launch import TREE, shipped

SERVER, CLIENT = "192.0.2.1", "192.0.2.7"
DOCUMENTS = "/usr/local/share/doc/pop3d"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEVICES = (("null", 3), ("zero", 5), ("full", 7), ("random", 8), ("urandom", 9))

BEGIN = f"""
set -e
cd "$0"
mount -t proc proc /proc
for name in etc var dev usr/local; do mount --bind "./$name" "/$name"; done
mount -t tmpfs none /run
mkdir -p /run/haproxy /run/lock
ip link set lo up
ip address add {SERVER}/24 dev lo
ip address add {CLIENT}/24 dev lo
echo ready
exec cat
"""


def namespaces():
    return ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--propagation",
            "private"]


def blocks(heading, name="SETUP"):
    """The indented blocks below a heading of a file in doc/, without their indentation."""
    text = shipped("doc", name)
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", text,
                      re.MULTILINE | re.DOTALL)
    assert found, f"doc/{name} has no heading {heading!r}"
    runs = re.findall(r"(?:^    .*\n(?:\n+(?=    ))?)+", found[1], re.MULTILINE)
    return [re.sub(r"^    ", "", run, flags=re.MULTILINE) for run in runs]


def block(heading, beginning):
    """The only block below a heading that begins with these words."""
    found = [text for text in blocks(heading) if text.startswith(beginning)]
    assert len(found) == 1, f"{len(found)} blocks below {heading!r} begin with {beginning!r}"
    return found[0]


def install(lab, root):
    """Runs make install of the programs under test, into a directory that stands for /usr/local."""
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("O", "LIBC", "SANITIZE", "CHARDEN", "MFLAGS")
                   and not name.startswith("MAKE")}
    done = subprocess.run(["make", "-s", "-C", TREE, "install", f"O={lab.build}",
                           "PREFIX=/usr/local", f"DESTDIR={root}"], env=environment,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


class Machine:
    def __init__(self, lab, path):
        self.path, self.lines, self.logs = path, [], []
        os.mkdir(path, 0o755)
        install(lab, path)
        subprocess.run(["cp", "-a", "/etc", self.at("etc")], check=True)
        for name in ("var/lib/haproxy", "var/log", "var/tmp", "var/mail", "dev/shm", "usr/local"):
            os.makedirs(self.at(name), 0o755, exist_ok=True)
        os.symlink("/run", self.at("var", "run"))
        self.write("/etc/resolv.conf", "")  # There are no name servers that could be asked.
        self.make_devices()
        self.process = subprocess.Popen([*namespaces(), "sh", "-c", BEGIN, path],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True)
        said = self.process.stdout.readline()
        if said != "ready\n":
            said += self.process.stdout.read()
            self.stop()
            pytest.skip(f"no namespaces like a machine's here: {said}")
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children",
                  encoding="ascii") as file:
            self.init = int(file.read())

    def at(self, *names):
        """The path of a file of the machine, seen from outside."""
        return os.path.join(self.path, *(name.lstrip("/") for name in names))

    def make_devices(self):
        for name, minor in DEVICES:
            os.mknod(self.at("dev", name), 0o666 | stat.S_IFCHR, os.makedev(1, minor))
            os.chmod(self.at("dev", name), 0o666)
        self.syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.syslog.bind(self.at("dev", "log"))
        os.chmod(self.at("dev", "log"), 0o666)
        self.collector = threading.Thread(target=self.collect, daemon=True)
        self.collector.start()

    def collect(self):
        while line := self.syslog.recv(65536):
            self.lines.append(line.decode("latin-1"))

    def command(self, *command, directory=DOCUMENTS):
        # The machine has the root of this process, whether or not that is a directory of the host.
        return ["nsenter", "--target", str(self.init), "--root", "--mount", "--net", "--pid",
                "--", "env", "-i", "-C", directory, f"PATH={PATH}", "LC_ALL=C.UTF-8", *command]

    def run(self, *command, check=True, text=None, directory=DOCUMENTS):
        """Runs a command in the machine. Returns the finished process, with its output as octets."""
        done = subprocess.run(self.command(*command, directory=directory), input=text or b"",
                              capture_output=True, timeout=harness.TIMEOUT, check=False)
        assert not check or done.returncode == 0, f"{' '.join(command)}\n{done}\n{self.report()}"
        return done

    def follow(self, commands, answers=b"", directory=DOCUMENTS):
        """Runs the commands of a block of doc/SETUP, except those that need an init system.

        Returns the latter, line by line."""
        lines = commands.splitlines()
        left = [line for line in lines if re.match(r"(service|systemctl) ", line)]
        self.run("sh", "-e", "-c", "\n".join(line for line in lines if line not in left),
                 text=answers, directory=directory)
        return left

    def write(self, path, text, mode=0o644):
        os.makedirs(os.path.dirname(self.at(path)), exist_ok=True)
        with open(self.at(path), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.at(path), mode)

    def read(self, path):
        with open(self.at(path), encoding="utf-8") as file:
            return file.read()

    def start(self, ports, *command):
        """Starts a server, and waits until it listens."""
        path = self.at(f"log{len(self.logs)}")
        self.logs.append(path)
        with open(path, "wb") as log:
            server = subprocess.Popen(self.command(*command, directory="/"), stdout=log,
                                      stderr=log, stdin=subprocess.DEVNULL)
        up = retry_until(lambda: ports <= self.listening() or server.poll() is not None)
        assert up and server.poll() is None, f"{command} does not start\n{self.report()}"
        return server

    def listening(self):
        """The ports at which somebody listens."""
        ports = set()
        for name in ("tcp", "tcp6"):
            with open(f"/proc/{self.init}/net/{name}", encoding="ascii") as file:
                for line in list(file)[1:]:
                    fields = line.split()
                    if fields[3] == "0A":
                        ports.add(int(fields[1].rpartition(":")[2], 16))
        return ports

    def log(self):
        """Syslog, and the standard error of the servers."""
        text = "\n".join(self.lines) + "\n"
        for path in self.logs:
            with open(path, encoding="latin-1") as file:
                text += file.read()
        return text

    def logged(self, pattern, count=1):
        found = retry_until(lambda: len(re.findall(pattern, self.log())) >= count)
        assert found, f"not {count} times {pattern!r}\n{self.report()}"

    def report(self):
        return f"log of the machine:\n{self.log()[-4000:]}"

    def stop(self):
        for kill in (self.process.stdin.close, self.process.wait):
            kill()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self.syslog.getsockname())
        self.collector.join(5)
        self.syslog.close()
        shutil.rmtree(self.path, ignore_errors=True)


@pytest.fixture
def machine(lab):
    """A machine on which make install has been done."""
    if not ROOT:
        pytest.skip("needs root for a machine of its own")
    if SANITIZED:
        pytest.skip("programs with sanitizers need options that doc/SETUP does not have")
    if subprocess.run([*namespaces(), "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("no namespaces to be had here")
    made = Machine(lab, os.path.join(lab.directory, "machine"))
    yield made
    made.stop()
