"""Programs that people read mail with, at a terminal."""
import os
import re
import time

try:
    import pexpect
except ImportError:  # the quick clients do without
    pexpect = None

from client import Client, ClientFailed, as_user, drop_header, kill_group, read_mbox
from launch import find_program


class Terminal:
    """A program at a terminal of its own; whoever types gives up after the client's patience."""

    def __init__(self, client, *command, rows=40):
        program = find_program(command[0], client.package)
        self.client, self.deadline = client, time.monotonic() + client.patience
        ids = as_user()

        def become():
            if ids:
                os.setgroups([])
                os.setgid(ids["group"])
                os.setuid(ids["user"])

        environment = {**client.environment(), "TERM": "xterm-256color"}
        self.child = pexpect.spawn(program, list(command[1:]), env=environment, cwd=str(client.work),
                                   dimensions=(rows, 120), preexec_fn=become, timeout=5)

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        kill_group(self.child.pid)
        self.child.close(force=True)

    def until(self, *patterns, keys=""):
        """Waits for one of the patterns, and types keys while it waits; returns which came."""
        while time.monotonic() < self.deadline:
            if keys:
                self.child.send(keys)
            try:
                return self.child.expect(list(patterns), timeout=0.5 if keys else 2)
            except pexpect.TIMEOUT:
                pass
            except pexpect.EOF as end:
                raise ClientFailed(f"{self.client.name} ended:\n{self.screen()}") from end
        raise ClientFailed(f"{self.client.name} did not end in {self.client.patience} s: nothing like "
                           f"{patterns}:\n{self.screen()}")

    def screen(self):
        text = self.child.before
        text = text.decode("latin-1") if isinstance(text, bytes) else ""
        return re.sub(r"\x1b[\[(][0-9;?]*[A-Za-z]", " ", text)[-3000:]

    def type(self, keys):
        self.child.send(keys)

    def ended(self, keys=""):
        self.until(pexpect.EOF, keys=keys)


class Mutt(Client):
    """Opens the mailbox on the server, tags all messages and copies them into an mbox."""

    name = "mutt"
    package = "mutt"
    program = "mutt"
    remembers = False
    adds = "Status, Content-Length and Lines fields"
    changes = {"From line": "From and >From are quoted by >", "NUL": "a line ends at its first NUL",
               "empty": "not copied", "header only": "a blank line is added"}
    remarks = ("in clear it needs ssl_force_tls=no; after a wrong password it closes the mailbox, and "
               "the user opens it again")

    def rc(self, password):
        self.directory("Mail")
        lines = []
        if password:
            lines.append(f'set pop_pass="{password}"')
        if self.account.mode == "clear":
            lines.append("set ssl_force_tls=no")
        else:
            lines.append(f'set certificate_file="{self.account.authority}"')
        return self.write("muttrc", "\n".join(lines) + "\n")

    def start(self, password):
        scheme = "pops" if self.account.mode == "tls" else "pop"
        return Terminal(self, self.program, "-F", self.rc(password), "-f",
                        f"{scheme}://{self.account.login}@{self.account.host}:{self.account.port}/")

    def copy(self, screen, keep):
        screen.until(r"Msgs:(\d+)")
        wanted = len(self.stored()) + int(screen.child.match[1])
        screen.type("T~A\r")
        screen.until(r"Tag:\d+")
        screen.type(f";C{self.path('mbox')}\r")
        screen.until("Create |Append ")
        screen.type("y")
        while screen.child.expect(["Error copying", pexpect.TIMEOUT], timeout=0.5):
            if len(self.stored()) >= wanted:
                break
            if time.monotonic() > screen.deadline:
                raise ClientFailed(f"{self.name} did not end: {screen.screen()}")
        if len(self.stored()) < wanted - 1:
            raise ClientFailed(f"{self.name}: {screen.screen()}")
        if keep:
            screen.ended(keys="x")
        else:
            screen.until(r"Del:\d+", keys="D~A\r")
            screen.type("q")
            screen.until(r"Purge \d+")
            screen.type("y")
            screen.ended()

    def poll(self, keep, password=None):
        with self.start(password or self.account.password) as screen:
            self.copy(screen, keep)

    def wrong_then_right(self, wrong):
        """Typed where it asks, both times."""
        with self.start(None) as screen:
            screen.until("Password for")
            screen.type(wrong + "\r")
            screen.until("(?i)login failed|authentication failed")
            screen.ended(keys="q")
        with self.start(None) as screen:
            screen.until("Password for")
            screen.type(self.account.password + "\r")
            self.copy(screen, True)
        return self.stored()

    def stored(self):
        return [drop_header(octets, b"Status", b"Content-Length", b"Lines")
                for octets in read_mbox(self.path("mbox"))]


class Neomutt(Mutt):
    name = "neomutt"
    package = "neomutt"
    program = "neomutt"

class SNail(Client):
    name = "s-nail"
    package = "s-nail"
    remembers = False
    adds = "a Status field"
    changes = {"From line": "quoted by >, and without the last blank line"}
    remarks = "needs v15-compat for URLs with a password"

    def poll(self, keep, password=None):
        account = self.account
        scheme = "pop3s" if account.mode == "tls" else "pop3"
        lines = ["set v15-compat"]
        if account.mode == "stls":
            lines.append("set pop3-use-starttls")
        if account.mode != "clear":
            lines.append(f"set tls-ca-file={account.authority}")
        self.write(".mailrc", "\n".join(lines) + "\n")
        verb = "copy" if keep else "move"
        script = self.write("script", f'{verb} * "{self.path("mbox")}"\n{"exit" if keep else "quit"}\n')
        url = f"{scheme}://{account.login}:{password or account.password}@{account.host}:{account.port}"
        said = self.run("s-nail", "-f", url, script=script)
        if "fail" in said.lower() or "err" in said.lower():
            raise ClientFailed(said)

    def run(self, *command, script=None, **how):
        with open(script, "rb") as file:
            return super().run(*command, stdin=file, **how)

    def stored(self):
        return [drop_header(octets, b"Status") for octets in read_mbox(self.path("mbox"))]


class Pop3El(Client):
    """What Gnus and Rmail use without movemail."""

    name = "emacs pop3.el"
    package = "emacs-nox"
    adds = "X-UIDL and Content-Length fields"
    changes = {"From line": "not quoted: the mbox has one message more",
               "header only": "a blank line is added"}
    remarks = "in clear Emacs asks the user first"

    def poll(self, keep, password=None):
        account = self.account
        stream = {"clear": "", "stls": "pop3-stream-type 'starttls",
                  "tls": "pop3-stream-type 'ssl"}[account.mode]
        self.directory(".emacs.d")
        # the user's answer to the question whether a connection in clear is meant
        answer = "(require 'nsm) (fset 'nsm-query (lambda (&rest _) 'always))"
        crashbox = self.path(f"crashbox.{time.monotonic_ns():020}")
        program = self.write("poll.el", f"""
(require 'pop3)
{answer}
(setq gnutls-trustfiles '("{account.authority}")
      pop3-mailhost "{account.host}" pop3-port {account.port} pop3-maildrop "{account.login}"
      pop3-password "{password or account.password}" {stream}
      pop3-leave-mail-on-server {"t" if keep else "nil"})
(pop3-movemail "{crashbox}")
""")
        self.run("emacs", "--batch", "-Q", "-l", program)

    def stored(self):
        # each file that pop3-movemail makes is read by itself, by Gnus and Rmail too
        return [drop_header(octets, b"X-UIDL", b"Content-Length")
                for name in sorted(os.listdir(self.work)) if name.startswith("crashbox")
                for octets in read_mbox(self.path(name))]


class Alpine(Client):
    """Selects all messages and saves them into a folder."""

    name = "alpine"
    package = "alpine"
    remembers = False
    changes = {"NUL": "a line ends at its first NUL", "empty": "cannot be saved",
               "bare CR": "each CR is left out", "header only": "a blank line is added"}
    without = {"timeout": "who types here is slower than the idle time of 2 seconds"}
    adds = "Status, X-Status, X-Keywords and X-UID fields"
    remarks = "warns of AUTH PLAIN without TLS, on the loopback too"

    def start(self):
        account = self.account
        how = {"clear": "", "stls": "/tls", "tls": "/ssl"}[account.mode]
        settings = self.write(".pinerc", f"""
inbox-path={{{account.host}:{account.port}/pop3/user={account.login}{how}}}INBOX
user-domain=example.org
personal-name=K
last-version-used=6.26
initial-keystroke-list=i
feature-list=quit-without-confirm
""")
        return Terminal(self, "alpine", "-p", settings)

    def environment(self):
        return {**super().environment(), "SSL_CERT_FILE": str(self.account.authority)}

    def log_in(self, screen, *passwords):
        for password in passwords:
            screen.until("ENTER PASSWORD")
            screen.type(password + "\r")
            if screen.until("Preserve password", "(?i)login failed") == 0:
                screen.type("n")

    def save(self, screen, keep):
        # the second form comes where opening took a second or more
        if screen.until(r'opened with \d+|(?s:Opening "INBOX".{0,40}DONE)',
                        "LOGIN FAILED|login failed|CLOSED") != 0:
            raise ClientFailed(screen.screen())
        # without the empty one, which spoils the saving of all that is selected
        screen.type(";z")
        screen.until("larger than")
        screen.type("1\r")
        screen.until("(?i)selected|matched")
        screen.type("as")
        screen.until("to folder")
        screen.type(self.path("copies") + "\r")
        # it asks whether to make the folder, and whether a message may be shorter than announced
        while (found := screen.until(r"Create\?", r"shrank!", "(?i)(saved|copied) to|DEL |data corruption",
                                     "(?i)error|lost|broken|CLOSED")) < 2:
            screen.type("ya"[found])
        if found == 3:
            raise ClientFailed(screen.screen())
        screen.type("q")
        while screen.until("(?i)expunge", pexpect.EOF, "(?i)really quit") != 1:
            screen.type("n" if keep else "y")

    def poll(self, keep, password=None):
        with self.start() as screen:
            self.log_in(screen, password or self.account.password)
            self.save(screen, keep)

    def wrong_then_right(self, wrong):
        with self.start() as screen:
            self.log_in(screen, wrong, self.account.password)
            self.save(screen, True)
        return self.stored()

    def stored(self):
        found = [drop_header(octets, b"Status", b"X-Status", b"X-Keywords", b"X-UID")
                 for octets in read_mbox(self.path("copies"))]
        return [octets for octets in found if b"FOLDER INTERNAL DATA" not in octets]


CLIENTS = [Mutt, Neomutt, Alpine, SNail, Pop3El]
