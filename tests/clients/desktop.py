"""Mail programs with windows: Thunderbird, Evolution's library, Claws Mail."""
import json
import os
import re
import signal
import socket
import subprocess
import time

from client import Client, ClientFailed, as_user, drop_header, read_directory, read_mbox
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
        for name in ("profile",):
            self.directory(name)
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
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
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
    adds = "X-Evolution fields"
    remarks = "the library by itself; Evolution remembers UIDs beside it"

    def poll(self, keep, password=None):
        account = self.account
        self.directory("mail")
        self.run("/usr/bin/python3", os.path.join(PROGRAMS, "camel.py"), account.host,
                 str(account.port), account.mode, account.login, password or account.password,
                 str(account.authority or ""), self.path("mail"), "keep" if keep else "delete")

    def stored(self):
        return [drop_header(octets, b"X-Evolution-[A-Za-z0-9-]*")
                for octets in read_directory(self.path("mail"))]


CLIENTS = [Thunderbird, Camel]
