"""The servers that are measured, each started on a free port of the loopback interface.

Other servers than pop3d come from Debian packages. Nothing outside the directory of the laboratory
is changed: a program that knows only fixed paths gets a mount namespace of its own.
"""
import os
import shutil
import signal
import socket
import subprocess
import time

import meters
from lab import OWNER, PASSWORD, TREE

UNPACKED = os.path.join(TREE, "build", "unpacked")
SBIN = ["/usr/local/sbin", "/usr/sbin", "/sbin"]


class Missing(Exception):
    """A needed program is missing."""


def find(name, package):
    """The path of a program, installed or unpacked by bootstrap."""
    path = os.environ.get("PATH", os.defpath).split(os.pathsep) + SBIN
    found = shutil.which(name, path=os.pathsep.join(path))
    if found is None:
        raise Missing(f"{name} is not installed (package {package}; ./bootstrap bench)")
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A server with homes of its own, or with those of another."""

    name = ""
    user_pattern = "u%"
    fresh_process = True  # Each session has processes of its own, which have all ended after it.

    def __init__(self, lab, homes=None):
        self.lab = lab
        slug = "".join(c if c.isalnum() else "-" for c in self.name)
        self.homes = homes or lab.homes(slug)
        self.directory = lab.at("run", slug)
        self.port = self.process = self.meter = None

    def command(self):
        """The command to run, and its environment."""
        raise NotImplementedError

    def start(self):
        os.makedirs(self.directory, exist_ok=True)
        self.port = free_port()
        self.meter = meters.CpuMeter()
        command, environment = self.command()
        with open(os.path.join(self.directory, "log"), "ab") as log:
            # pylint: disable=subprocess-popen-preexec-fn
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={"PATH": os.environ["PATH"], **environment}, start_new_session=True,
                preexec_fn=self.meter.enter)
        self.await_port()
        return self

    def await_port(self):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                self.await_quiet()
                return
            except OSError:
                time.sleep(0.05)
        self.stop()
        raise Missing(f"{self.name} does not listen; see {self.directory}/log")

    def await_quiet(self):
        """Waits until the processes of past sessions have ended."""
        if not self.fresh_process:
            time.sleep(0.3)
            return
        deadline = time.monotonic() + 10
        while len(meters.tree(self.process.pid)) > 1 and time.monotonic() < deadline:
            time.sleep(0.005)

    def cpu_seconds(self):
        return self.meter.seconds(self.process.pid)

    def stop(self):
        """Ends exactly the processes that start began."""
        if self.process is None:
            return
        started = meters.tree(self.process.pid)
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pid in started[1:]:
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
        self.process = None
        self.meter.close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


class UnderTcpserver(Server):
    """A program that tcpserver starts for each connection."""

    no_delay = False  # whether tcpserver sets TCP_NODELAY for it

    def program(self):
        """The program with its arguments, and its environment."""
        raise NotImplementedError

    def command(self):
        program, environment = self.program()
        tcpserver = find("tcpserver", "ucspi-tcp")
        no_delay = ["-D"] if self.no_delay else []
        return [tcpserver, *no_delay, "-R", "-H", "-l", "0", "-b", "256", "-c", "1000", "127.0.0.1",
                str(self.port)] + program, environment


class Pop3d(UnderTcpserver):
    """pop3d, with the cheapest checker."""

    name = "pop3d"
    options = []

    def program(self):
        return [self.lab.program("pop3d"), *self.options, self.lab.program("checkpw"), self.homes,
                PASSWORD], {}


class Mailfront(UnderTcpserver):
    """mailfront with the password module of its own family."""

    name = "mailfront"

    def program(self):
        table = os.path.join(self.directory, "pwfile")
        with open(table, "w", encoding="utf-8") as file:
            for home in sorted(os.listdir(self.homes)):
                file.write(f"{home}:{PASSWORD}:{OWNER[0]}:{OWNER[1]}::{self.homes}/{home}"
                           ":/bin/false\n")
        return [find("pop3front-auth", "mailfront"), find("cvm-pwfile", "cvm"),
                find("pop3front-maildir", "mailfront"), "Maildir"], {"CVM_PWFILE_PATH": table}


class MailfrontNoDelay(Mailfront):
    """mailfront with TCP_NODELAY, which it leaves to the superserver. Without it, replies wait 40
    ms.
    """

    name = "mailfront, tcpserver -D"
    no_delay = True


class MailfrontSession(UnderTcpserver):
    """mailfront's session program after pop3d's front end and the same checker."""

    name = "mailfront-session"

    def program(self):
        return [self.lab.program("pop3d"), "--exec",
                find("pop3front-maildir", "mailfront") + " Maildir",
                self.lab.program("checkpw"), self.homes, PASSWORD], {}


class Floor(UnderTcpserver):
    """No server: a static program that says +OK to everything."""

    name = "floor"

    def program(self):
        return [self.lab.program("floor")], {}


class Cat(UnderTcpserver):
    """No server: the throughput of tcpserver and cat with the same kind of socket."""

    name = "cat"

    def __init__(self, lab, path):
        super().__init__(lab)
        self.path = path

    def program(self):
        return [find("cat", "coreutils"), self.path], {}


class Dovecot(Server):
    """Dovecot with processes that end with their session."""

    name = "dovecot"
    fresh_process = False
    login_service = "service_count = 1\n  process_limit = 1500"
    pop3_service = "service_count = 1"

    def command(self):
        for sub in ("run", "lib"):
            os.makedirs(os.path.join(self.directory, sub), exist_ok=True)
        users = os.path.join(self.directory, "users")
        with open(users, "w", encoding="utf-8") as file:
            for home in sorted(os.listdir(self.homes)):
                file.write(f"{home}:{{PLAIN}}{PASSWORD}:{OWNER[0]}:{OWNER[1]}::"
                           f"{self.homes}/{home}::\n")
        os.chmod(users, 0o644)
        path = os.path.join(self.directory, "dovecot.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.configuration(users))
        return [find("dovecot", "dovecot-pop3d"), "-F", "-c", path], {}

    def configuration(self, users):
        return f"""
base_dir = {self.directory}/run
state_dir = {self.directory}/lib
log_path = {self.directory}/log
protocols = pop3
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
mail_location = maildir:~/Maildir
mail_max_userip_connections = 0
first_valid_uid = 500
login_trusted_networks =
default_client_limit = 4000
default_process_limit = 1500
default_vsz_limit = 4G
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {users}
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {users}
}}
service pop3-login {{
  {self.login_service}
  inet_listener pop3 {{
    address = 127.0.0.1
    port = {self.port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service pop3 {{
  process_limit = 1500
  {self.pop3_service}
}}
service stats {{
  client_limit = 8000
}}
"""


class DovecotHp(Dovecot):
    """Dovecot in its high-performance mode: processes are kept and used again."""

    name = "dovecot-hp"
    login_service = ("service_count = 0\n  process_min_avail = 2\n  process_limit = 2\n"
                     "  client_limit = 2000")
    pop3_service = "service_count = 200\n  process_min_avail = 4"


class Courier(Server):
    """Courier's POP3 server with couriertcpd and authdaemond.

    Its package refuses to be installed beside other POP3 servers, so it is only unpacked.
    /etc/courier and /run/courier are those of a mount namespace.
    """

    name = "courier"
    # One shell as the parent of both, with a mount namespace of its own.
    script = """
        mount --make-rprivate / && mount --bind "$D/etc" /etc/courier &&
        mount -t tmpfs none /run && mkdir -p /run/courier/authdaemon || exit 1
        makeuserdb || exit 1
        trap 'kill $a $b 2>/dev/null; exit 0' TERM
        set -a; . /etc/courier/authdaemonrc; set +a
        /usr/lib/courier/courier-authlib/authdaemond & a=$!
        sleep 0.5
        env -i PATH="$PATH" MAILDIRPATH=Maildir POP3AUTH= POP3_PROXY=0 "$TCPD" \\
            -address=127.0.0.1 -maxprocs=1000 -maxperip=1000 -nodnslookup -noidentlookup \\
            "$PORT" "$R/courierpop3login" "$R/courierpop3d" Maildir & b=$!
        wait
    """

    def command(self):
        programs = os.path.join(UNPACKED, "courier-pop", "usr", "lib", "courier", "courier")
        if not os.path.exists(os.path.join(programs, "courierpop3d")):
            raise Missing("courier-pop is not unpacked (./bootstrap bench)")
        tcpd = find("couriertcpd", "courier-base")
        find("makeuserdb", "courier-authlib-userdb")
        etc = os.path.join(self.directory, "etc")
        shutil.rmtree(etc, ignore_errors=True)
        os.makedirs(etc, 0o755)
        self.write_rc(os.path.join(etc, "authdaemonrc"))
        self.write_users(os.path.join(etc, "userdb"))
        return ["unshare", "--mount", "sh", "-c", self.script], {
            "D": self.directory, "R": programs, "TCPD": tcpd, "PORT": str(self.port)}

    def write_rc(self, path):
        with open(path, "w", encoding="utf-8") as file:
            file.write("authmodulelist=\"authuserdb\"\ndaemons=5\n"
                       "authdaemonvar=/run/courier/authdaemon\nDEBUG_LOGIN=0\n"
                       "DEFAULTOPTIONS=\"\"\nLOGGEROPTS=\"\"\n")

    def write_users(self, path):
        # The cheapest hash that its modules know.
        hashed = subprocess.run(["perl", "-e", "print crypt(shift, 'ab')", PASSWORD],
                                capture_output=True, text=True, check=True).stdout
        with open(path, "w", encoding="utf-8") as file:
            for home in sorted(os.listdir(self.homes)):
                fields = {"uid": OWNER[0], "gid": OWNER[1], "home": f"{self.homes}/{home}",
                          "mail": f"{self.homes}/{home}/Maildir", "systempw": hashed}
                file.write(home + "\t" + "|".join(f"{k}={v}" for k, v in fields.items()) + "\n")
        os.chmod(path, 0o600)

    def await_quiet(self):
        time.sleep(0.3)


NEIGHBOURS = [Mailfront, Dovecot, DovecotHp, Courier]
