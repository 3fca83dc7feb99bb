"""The servers from which mail moves to pop3d: Debian's programs, each serving one home.

Packages that refuse to be installed beside others are unpacked (./bootstrap migration). A program
that knows only fixed paths gets a mount namespace of its own, so these tests need root.
"""
import os
import shutil
import socket
import subprocess
import time

import pytest

import harness
from harness import MAIL_GID, MAIL_UID
from launch import UNPACKED, find_program, free_port, tree_of


def unpacked(package, *names):
    path = os.path.join(UNPACKED, package, *names)
    if not os.path.exists(path):
        pytest.skip(f"{package} is not unpacked (./bootstrap migration)")
    return path


def crypted(password):
    return subprocess.run(["perl", "-e", "print crypt(shift, 'ab')", password],
                          capture_output=True, text=True, check=True).stdout


class Neighbour:
    """A server that serves the mailbox of home, on a free port of the loopback interface."""

    name = ""
    package = ""
    kind = ""  # for --uidl-from
    imap = None  # the port of its IMAP server

    def __init__(self, home, work, port=None):
        self.home, self.work = home, str(work)
        self.port = port or free_port()
        self.user = home.login.partition("@")[0]
        os.makedirs(self.work, exist_ok=True)
        os.chmod(self.work, 0o755)
        self.environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        command = self.command()
        with open(self.at("out"), "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=self.environment, start_new_session=True)
        if not harness.retry_until(self.listens, 20):
            self.stop()
            raise AssertionError(f"{self.name} does not start: {self.said()}")

    def at(self, *names):
        return os.path.join(self.work, *names)

    def write(self, name, text, mode=0o644):
        os.makedirs(os.path.dirname(self.at(name)), exist_ok=True)
        with open(self.at(name), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.at(name), mode)
        return self.at(name)

    def said(self):
        text = ""
        for name in ("out", "log"):
            if os.path.exists(self.at(name)):
                with open(self.at(name), encoding="latin-1") as file:
                    text += file.read()
        return text[-3000:]

    def command(self):
        raise NotImplementedError

    def listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        time.sleep(0.2)
        return True

    def stop(self):
        """Ends exactly the processes that the constructor began."""
        started = tree_of(self.process.pid)
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pid in started[1:]:
            try:
                os.kill(pid, 15)
            except ProcessLookupError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @staticmethod
    def login():
        """How a client names the user."""
        return "kermit"

    def tcpserver(self, *program):
        return [find_program("tcpserver", "ucspi-tcp"), "-R", "-H", "-l", "0", "127.0.0.1",
                str(self.port), *program]

    @classmethod
    def version(cls):
        done = subprocess.run(["apt-cache", "policy", cls.package], capture_output=True, text=True,
                              check=False).stdout
        found = [line.split()[1] for line in done.splitlines() if "Candidate:" in line]
        return found[0] if found else "?"


class Dovecot(Neighbour):
    """Dovecot's POP3 and IMAP servers."""

    name, package, kind = "dovecot", "dovecot-pop3d", "dovecot"
    settings = ""

    def command(self):
        find_program("dovecot", "dovecot-pop3d")
        if not os.path.exists("/usr/lib/dovecot/imap"):
            pytest.skip("dovecot-imapd is not installed (./bootstrap migration)")
        users = self.write("users", f"{self.user}:{{PLAIN}}{self.home.password}:{MAIL_UID}:"
                           f"{MAIL_GID}::{self.home.path}::\n")
        self.imap = free_port()
        for name in ("run", "lib"):
            os.makedirs(self.at(name), exist_ok=True)
        path = self.write("dovecot.conf", f"""
base_dir = {self.at("run")}
state_dir = {self.at("lib")}
log_path = {self.at("log")}
protocols = pop3 imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
mail_location = maildir:~/Maildir
first_valid_uid = 500
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {users}
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {users}
}}
service pop3-login {{
  inet_listener pop3 {{
    address = 127.0.0.1
    port = {self.port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service imap-login {{
  inet_listener imap {{
    address = 127.0.0.1
    port = {self.imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
{self.settings}
""")
        return [find_program("dovecot", "dovecot-pop3d"), "-F", "-c", path]


class Courier(Neighbour):
    """Courier's POP3 server, with couriertcpd and authdaemond, in a mount namespace."""

    name, package, kind = "courier", "courier-pop", "courier"
    script = """
        mount --make-rprivate / && mount --bind "$D/etc" /etc/courier &&
        mount -t tmpfs none /run && mkdir -p /run/courier/authdaemon || exit 1
        makeuserdb || exit 1
        trap 'kill $a $b 2>/dev/null; exit 0' TERM
        set -a; . /etc/courier/authdaemonrc; set +a
        /usr/lib/courier/courier-authlib/authdaemond & a=$!
        sleep 0.5
        env -i PATH="$PATH" MAILDIRPATH=Maildir POP3AUTH= POP3_PROXY=0 couriertcpd \\
            -address=127.0.0.1 -maxprocs=40 -maxperip=40 -nodnslookup -noidentlookup \\
            "$PORT" "$R/courierpop3login" "$R/courierpop3d" Maildir & b=$!
        wait
    """

    def command(self):
        programs = unpacked("courier-pop", "usr", "lib", "courier", "courier")
        find_program("couriertcpd", "courier-base")
        find_program("makeuserdb", "courier-authlib-userdb")
        self.write("etc/authdaemonrc", "authmodulelist=\"authuserdb\"\ndaemons=2\n"
                   "authdaemonvar=/run/courier/authdaemon\nDEBUG_LOGIN=0\nDEFAULTOPTIONS=\"\"\n"
                   "LOGGEROPTS=\"\"\n")
        fields = {"uid": MAIL_UID, "gid": MAIL_GID, "home": self.home.path,
                  "mail": f"{self.home.path}/Maildir", "systempw": crypted(self.home.password)}
        self.write("etc/userdb", self.user + "\t"
                   + "|".join(f"{k}={v}" for k, v in fields.items()) + "\n", 0o600)
        self.environment |= {"D": self.work, "R": programs, "PORT": str(self.port)}
        return ["unshare", "--mount", "sh", "-c", self.script]


class Mailfront(Neighbour):
    """mailfront, with the password module of its own family."""

    name, package, kind = "mailfront", "mailfront", "mailfront"

    def command(self):
        table = self.write("pwfile", f"{self.user}:{self.home.password}:{MAIL_UID}:{MAIL_GID}::"
                           f"{self.home.path}:/bin/false\n")
        self.environment["CVM_PWFILE_PATH"] = table
        return self.tcpserver(find_program("pop3front-auth", "mailfront"),
                              find_program("cvm-pwfile", "cvm"),
                              find_program("pop3front-maildir", "mailfront"), "Maildir")


class SolidPop3d(Neighbour):
    """solid-pop3d, which knows system accounts only: the ones of a mount namespace."""

    name, package, kind = "solid-pop3d", "solid-pop3d", "solid-pop3d"
    script = """
        mount --make-rprivate / && mount --bind "$D/passwd" /etc/passwd &&
        mount --bind "$D/pam.d" /etc/pam.d || exit 1
        exec "$@"
    """

    def command(self):
        program = unpacked("solid-pop3d", "usr", "sbin", "solid-pop3d")
        with open("/etc/passwd", encoding="utf-8") as file:
            known = file.read()
        self.write("passwd", known + f"spop3d:x:65001:65534::/nonexistent:/bin/false\n"
                   f"{self.user}:x:{MAIL_UID}:{MAIL_GID}::{self.home.path}:/bin/sh\n")
        for name in ("solid-pop3d", "spop3d", "other"):
            self.write("pam.d/" + name, "auth required pam_permit.so\naccount required pam_permit.so\n"
                       "session required pam_permit.so\n")
        settings = self.write("spop3d.conf", '<Global>\nMailDropName "Maildir"\nMailDropType "maildir"\n'
                              'AddBulletins no\nLogPriority "mail.info"\n</Global>\n')
        self.environment["D"] = self.work
        return ["unshare", "--mount", "sh", "-c", self.script, "sh",
                *self.tcpserver(program, "-f", settings)]


class Mailutils(Neighbour):
    """GNU mailutils' pop3d."""

    name, package, kind = "mailutils", "mailutils-pop3d", "mailutils"
    script = """
        mount --make-rprivate / && mount -t tmpfs none /var/lock && mkdir -p -m 1777 /var/lock/subsys/mail
        exec "$@"
    """

    def command(self):
        program = unpacked("mailutils-pop3d", "usr", "sbin", "pop3d")
        libraries = [unpacked(package, "usr", "lib", "x86_64-linux-gnu")
                     for package in ("libmu-dbm9", "libkyotocabinet16v5")]
        self.environment["LD_LIBRARY_PATH"] = ":".join(libraries)
        os.makedirs(self.at("home"), exist_ok=True)
        os.chown(self.at("home"), MAIL_UID, MAIL_GID)
        if not os.path.lexists(self.at("home", "INBOX")):
            os.symlink(os.path.join(self.home.path, "Maildir"), self.at("home", "INBOX"))
        self.write("pw/lab", f"{self.user}:{crypted(self.home.password)}:{MAIL_UID}:{MAIL_GID}::"
                   f"{self.at('home')}:/bin/false\n")
        settings = self.write("pop3d.conf", f"""
auth {{ authentication generic; authorization virtdomain; }};
virtdomain {{ passwd-dir "{self.at('pw')}"; }};
mailbox {{ mailbox-type maildir; }};
logging {{ syslog no; facility mail; }};
""")
        return ["unshare", "--mount", "sh", "-c", self.script, "sh",
                *self.tcpserver(program, "--inetd", "--no-site-config", f"--config-file={settings}")]

    @staticmethod
    def login():
        return "kermit@lab"

    def stop(self):
        """It has written all messages anew, as root's: for virtual users it stays root."""
        super().stop()
        for path in self.home.maildir.names():
            harness.own(self.home.maildir.at(path))


class DovecotOtherFormat(Dovecot):
    """The form that Dovecot 1 and UW imapd had."""

    name, kind = "dovecot, %v.%u", "dovecot:%v.%u"
    settings = "protocol pop3 {\n  pop3_uidl_format = %v.%u\n}\n"


class DovecotNames(Dovecot):
    name, kind = "dovecot, %f", "dovecot:%f"
    settings = "protocol pop3 {\n  pop3_uidl_format = %f\n}\n"


class DovecotDigests(Dovecot):
    name, kind = "dovecot, %Mf", "dovecot:%Mf"
    settings = "protocol pop3 {\n  pop3_uidl_format = %Mf\n}\n"


class DovecotSaved(Dovecot):
    """It saves what it made by another format, and the list alone says what that was."""

    name, kind = "dovecot, saved", "dovecot"
    settings = "protocol pop3 {\n  pop3_save_uidl = yes\n  pop3_uidl_format = %g\n}\n"


class Pop3d(Neighbour):
    """The server under test, under the same superserver."""

    name = "pop3d"
    lab, options = None, ()

    def command(self):
        return self.tcpserver(self.lab.pop3d, "--hostname", "mail.example", *self.options, "--",
                              self.lab.checker, self.home.table)


NEIGHBOURS = [Dovecot, DovecotOtherFormat, DovecotNames, DovecotDigests, DovecotSaved, Courier,
              Mailfront, SolidPop3d, Mailutils]
