"""Mail programs with windows: Thunderbird, Evolution's library, Claws Mail."""
import json
import os
import re
import socket
import subprocess
import time

from client import Client, ClientFailed, as_user, drop_header, kill_group, read_directory
from client import read_mbox
from launch import find_program, free_port

PROGRAMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs")

# Asks for new mail, as the button does; answers the questions that come, as its user would: the
# passwords in turn, "Enter New Password" after a refusal. The window's own timers stand still then.
ROBOT = """
const [passwords, path, authority] = arguments;
const {MailServices} = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const {setInterval, clearInterval} = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");
const server = MailServices.accounts.allServers.find(s => s.type == "pop3");
const inbox = server.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
const main = Services.wm.getMostRecentWindow("mail:3pane");
const seen = [];
if (authority)
	Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB)
		.addCertFromBase64(authority, "CT,C,C");
function dialogs() {
	const found = [];
	for (const each of Services.wm.getEnumerator(null)) {
		const frames = [...each.document.querySelectorAll("browser.dialogFrame")];
		found.push(...[each, ...frames.map(f => f.contentWindow)].filter(
			w => w && w.location.href.includes("commonDialog")));
	}
	return found;
}
const robot = setInterval(() => {
	for (const each of dialogs()) {
		const dialog = each.document.querySelector("dialog");
		const field = each.document.getElementById("password1Textbox");
		seen.push(each.document.getElementById("infoBody").textContent);
		if (!each.document.getElementById("password1Container").hidden) {
			if (passwords.length) {
				field.value = passwords.shift();
				dialog.getButton("accept").click();
			} else
				dialog.getButton("cancel").click();
		} else if (passwords.length && !dialog.getButton("extra1").hidden)
			dialog.getButton("extra1").click();
		else
			(dialog.getButton("cancel").hidden ? dialog.getButton("accept") :
				dialog.getButton("cancel")).click();
	}
}, 300);
MailServices.pop3.GetNewMail(main.msgWindow, {
	OnStartRunningUrl() {},
	OnStopRunningUrl(url, status) {
		clearInterval(robot);
		IOUtils.writeUTF8(path, JSON.stringify([status, seen]), {tmpPath: path + ".part"});
	}
}, inbox, server.QueryInterface(Ci.nsIPop3IncomingServer));
"""


class Marionette:
    """The remote control that Thunderbird has: JSON with its length first."""

    def __init__(self, port, deadline):
        while True:
            try:
                self.socket = socket.create_connection(("127.0.0.1", port), 5)
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise ClientFailed("Thunderbird does not listen to its remote control") from error
                time.sleep(0.2)
        self.socket.settimeout(30)
        self.file, self.number = self.socket.makefile("rwb"), 0
        self.answer()

    def answer(self):
        length = b""
        while (octet := self.file.read(1)) != b":":
            if not octet:
                raise ClientFailed("Thunderbird ended")
            length += octet
        return json.loads(self.file.read(int(length)))

    def ask(self, name, **arguments):
        self.number += 1
        octets = json.dumps([0, self.number, name, arguments]).encode()
        self.file.write(b"%d:%s" % (len(octets), octets))
        self.file.flush()
        problem, value = self.answer()[2:]
        if problem:
            raise ClientFailed(f"{name}: {problem}")
        return value

    def run(self, script, *arguments):
        return self.ask("WebDriver:ExecuteScript", script=script, args=list(arguments))


class Thunderbird(Client):
    """The button "Get Messages", with somebody who types the password."""

    name = "thunderbird"
    package = "thunderbird"
    timeout = 60
    changes = {"From line": "From and >From are quoted by >"}
    adds = "X-Account-Key, X-UIDL and X-Mozilla fields"
    remarks = ("after a refusal the connection stays open while it asks the user, and the next "
               "password comes on it")

    def start(self, keep, port):
        account = self.account
        self.directory("profile")
        server = {
            "type": "pop3", "hostname": account.host, "port": account.port, "name": "test",
            "userName": account.login, "leave_on_server": keep, "check_new_mail": False,
            "socketType": {"clear": 0, "stls": 2, "tls": 3}[account.mode], "authMethod": 3,
            "login_at_startup": False, "directory": self.path("profile", "Mail"),
            "directory-rel": "[ProfD]Mail"}
        prefs = {**{f"mail.server.server1.{name}": value for name, value in server.items()},
                 "mail.accountmanager.accounts": "account1", "marionette.port": port,
                 "mail.accountmanager.defaultaccount": "account1",
                 "mail.account.account1.server": "server1",
                 "mail.account.account1.identities": "id1",
                 "mail.identity.id1.useremail": "kermit@example.org",
                 "mail.identity.id1.fullName": "K", "mail.identity.id1.valid": True,
                 # nothing asks the network, and no page greets
                 "app.update.enabled": False, "mailnews.start_page.enabled": False,
                 "datareporting.policy.dataSubmissionEnabled": False,
                 "network.captive-portal-service.enabled": False,
                 "network.connectivity-service.enabled": False}
        self.write("profile/user.js", "".join(f"user_pref({json.dumps(n)}, {json.dumps(v)});\n"
                                              for n, v in prefs.items()))
        with open(self.path("out"), "wb") as out:
            return subprocess.Popen(
                [find_program("thunderbird", self.package), "--headless", "--marionette",
                 "--remote-allow-system-access", "--no-remote", "--profile", self.path("profile")],
                env=self.environment(), cwd=self.work, stdin=subprocess.DEVNULL, stdout=out,
                stderr=out, start_new_session=True, **as_user())

    def get_messages(self, keep, *passwords):
        """Returns what Thunderbird asked."""
        port, deadline = free_port(), time.monotonic() + self.patience
        process = self.start(keep, port)
        end = self.path("end")
        if os.path.exists(end):
            os.unlink(end)
        try:
            remote = Marionette(port, deadline)
            remote.ask("WebDriver:NewSession",
                       capabilities={"alwaysMatch": {"unhandledPromptBehavior": "ignore"}})
            remote.ask("Marionette:SetContext", value="chrome")
            remote.run(ROBOT, list(passwords), end, self.certificate())
            while not os.path.exists(end):
                if time.monotonic() > deadline:
                    raise ClientFailed(f"thunderbird did not end in {self.patience} s")
                time.sleep(0.1)
            with open(end, encoding="utf-8") as file:
                status, seen = json.load(file)
            remote.run("Services.startup.quit(Ci.nsIAppStartup.eAttemptQuit)")
            process.wait(30)
        finally:
            kill_group(process.pid)
            process.wait()
        if status:
            raise ClientFailed(f"thunderbird: status {status:#x}, it said: {seen}")
        return seen

    def certificate(self):
        if self.account.mode == "clear":
            return ""
        with open(self.account.authority, encoding="ascii") as file:
            return "".join(line.strip() for line in file if not line.startswith("-"))

    def poll(self, keep, password=None):
        self.get_messages(keep, password or self.account.password)

    def wrong_then_right(self, wrong):
        seen = self.get_messages(True, wrong, self.account.password)
        if len(seen) != 3:
            raise ClientFailed(f"thunderbird asked {seen}")
        return self.stored()

    def stored(self):
        return [drop_header(octets, b"X-Account-Key", b"X-UIDL", b"X-Mozilla-Status2?",
                            b"X-Mozilla-Keys") for octets in
                read_mbox(self.path("profile", "Mail", "Inbox"))]


class Camel(Client):
    """Evolution's library, driven as Evolution does: connect, refresh, get each message."""

    name = "evolution (libcamel)"
    package = "gir1.2-camel-1.2"
    remembers = False
    changes = {"bare CR": "each CR is left out", "header only": "an empty From field is added",
               "empty": "stored with a header of its own"}
    adds = "X-Evolution, Date, Message-ID and MIME fields"
    remarks = "the library by itself; Evolution remembers UIDs beside it"

    def poll(self, keep, password=None):
        account = self.account
        self.directory("mail")
        self.run("/usr/bin/python3", os.path.join(PROGRAMS, "camel.py"), account.host,
                 str(account.port), account.mode, account.login, password or account.password,
                 str(account.authority or ""), self.path("mail"), "keep" if keep else "delete")

    def stored(self):
        return [drop_header(octets, b"X-Evolution-[A-Za-z0-9-]*", b"Date", b"Message-ID", b"MIME-Version",
                            b"Content-Type", b"Content-Transfer-Encoding")
                for octets in read_directory(self.path("mail"))]


FOLDERS = """<?xml version="1.0"?>
<folderlist>
<folder type="mh" name="Mail" path="Mail">
<folderitem type="inbox" name="inbox" path="inbox"/>
<folderitem type="outbox" name="sent" path="sent"/>
<folderitem type="draft" name="draft" path="draft"/>
<folderitem type="queue" name="queue" path="queue"/>
<folderitem type="trash" name="trash" path="trash"/>
</folder>
</folderlist>
"""


class ClawsMail(Client):
    """--receive-all on a display of its own, where somebody types the password."""

    name = "claws-mail"
    package = "claws-mail"
    log = ".claws-mail/claws.log"
    timeout = 30
    remarks = "asks the user about the tests' certificate, who accepts it here"
    changes = {"empty": "not stored"}

    def settings(self, keep):
        account = self.account
        for name in ("Mail", "Mail/inbox", "Mail/sent", "Mail/draft", "Mail/queue", "Mail/trash"):
            self.directory(name)
        if not os.path.exists(self.path(".claws-mail", "folderlist.xml")):
            self.write(".claws-mail/folderlist.xml", FOLDERS)
        self.write(".claws-mail/accountrc", f"""[Account: 1]
account_name=test
is_default=1
name=K
address=kermit@example.org
protocol=0
receive_server={account.host}
smtp_server={account.host}
user_id={account.login}
remove_mail={0 if keep else 1}
message_leave_time=0
set_popport=1
pop_port={account.port}
ssl_pop={ {"clear": 0, "tls": 1, "stls": 2}[account.mode]}
receive_at_get_all=1
""")

    def environment(self):
        return {**super().environment(), "SSL_CERT_FILE": str(self.account.authority),
                **({"DISPLAY": self.display} if hasattr(self, "display") else {})}

    def start(self, *command):
        with open(self.path("out"), "ab") as out:
            return subprocess.Popen([find_program(command[0], self.package), *command[1:]],
                                    env=self.environment(), cwd=self.work, stdout=out, stderr=out,
                                    stdin=subprocess.DEVNULL, start_new_session=True, **as_user())

    def xdotool(self, *arguments):
        done = subprocess.run([find_program("xdotool", "xdotool"), *arguments], capture_output=True,
                              env=self.environment(), text=True, check=False, timeout=20)
        return done.stdout.split()

    def window(self, name):
        found = self.xdotool("search", "--onlyvisible", "--name", name)
        return found[-1] if found else None

    def answer(self, window, text, key="Return"):
        self.xdotool("windowfocus", "--sync", window)
        if text:
            self.xdotool("type", text)
        self.xdotool("key", key)
        time.sleep(0.3)

    def logged(self):
        try:
            with open(self.path(self.log), encoding="latin-1") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def receive(self, password):
        """Asks for mail; returns None, or what went wrong."""
        begin, deadline = len(self.logged()), time.monotonic() + self.patience
        running = self.start("claws-mail", "--receive-all")
        if not self.running:
            self.running.append(running)
        typed = None
        while time.monotonic() < deadline:
            window = self.window("^Input password")
            if window and window != typed:
                self.answer(window, password)
                typed = window
            said = self.logged()[begin:]
            if re.search(r"POP> QUIT\n(?s:.*)POP< \+OK", said):
                return None
            window = self.window("^TLS certificate is unknown")
            if window:
                self.answer(window, "", key="alt+a")
            window = self.window("^Error$")
            if window:
                self.answer(window, "")
                return said[-500:]
            time.sleep(0.2)
        windows = [self.xdotool("getwindowname", each)
                   for each in self.xdotool("search", "--onlyvisible", "--name", ".")]
        raise ClientFailed(f"claws-mail did not end in {self.patience} s; windows {windows}; "
                           f"{self.logged()[begin:][-2000:]}")

    def session(self, keep, *passwords):
        """Starts a display and the program, and asks for mail once for each password."""
        self.settings(keep)
        self.running, problem = [], None
        if os.path.exists(self.path(self.log)):
            os.unlink(self.path(self.log))
        read, write = os.pipe()
        screen = subprocess.Popen(
            [find_program("Xvfb", "xvfb"), "-displayfd", str(write), "-screen", "0", "1000x700x24",
             "-nolisten", "tcp"], pass_fds=[write], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        os.close(write)
        try:
            self.display = ":" + os.read(read, 20).decode().strip()
            for password in passwords:
                problem = self.receive(password)
            time.sleep(1)  # the list of unique ids is written after QUIT
            self.start("claws-mail", "--exit").wait(20)
            self.running[0].wait(20)
        except subprocess.TimeoutExpired:
            pass
        finally:
            os.close(read)
            for process in [*self.running, screen]:
                kill_group(process.pid)
                process.wait()
        if problem:
            raise ClientFailed(f"claws-mail: {problem}")

    def poll(self, keep, password=None):
        self.session(keep, password or self.account.password)

    def wrong_then_right(self, wrong):
        self.session(True, wrong, self.account.password)
        return self.stored()

    def stored(self):
        directory = self.path("Mail", "inbox")
        found = []
        for name in sorted(filter(str.isdigit, os.listdir(directory)), key=int):
            with open(os.path.join(directory, name), "rb") as file:
                found.append(file.read())
        return found


CLIENTS = [Thunderbird, Camel, ClawsMail]
