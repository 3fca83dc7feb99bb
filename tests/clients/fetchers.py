"""Programs that fetch mail for others: fetchmail, getmail, mpop, fdm, movemail, curl."""
import os

from client import Client, ClientFailed, drop_header, read_directory, read_maildir
from client import read_mbox


class Fetchmail(Client):
    """poll ... keep, and nothing else: fetchmail asks LAST, then UIDL, to know what is new."""

    name = "fetchmail"
    package = "fetchmail"
    quick = True
    how = ""
    adds = "a Received field first"
    changes = {"bare CR": "each CR is left out",
               "empty": "stored with a header of fetchmail's own",
               "header only": "a blank line is added",
               "long line": "broken every 8,190 octets, with stray octets at the breaks"}
    remarks = ("in clear it needs sslproto '': fetchmail asks for STLS, and gives up without it, since "
               "sslcertck is a default")
    script = "#!/bin/sh\ncat >{0}/$(date +%s%N)\n"

    def options(self):
        return {"clear": "sslproto ''", "stls": f'sslcertfile "{self.account.authority}"',
                "tls": f'ssl sslcertfile "{self.account.authority}"'}[self.account.mode]

    def poll(self, keep, password=None):
        self.directory("mail")
        deliver = self.write("deliver", self.script.format(self.path("mail")))
        os.chmod(deliver, 0o700)
        settings = self.write("fetchmailrc", f"""
poll {self.account.host} service {self.account.port} protocol pop3 {self.how.partition(" ")[0]}
	user "{self.account.login}" password "{password or self.account.password}"
	{"keep" if keep else "no keep"} {self.how.partition(" ")[2]} {self.options()} mda "{deliver}"
""")
        # 1: there was no mail
        self.run("fetchmail", "--nodetach", "--nosyslog", "-f", settings, "-v", good=(0, 1))

    def environment(self):
        return {**super().environment(), "FETCHMAILHOME": str(self.work)}

    def stored(self):
        return [drop_header(octets, b"Received") for octets in read_directory(self.path("mail"))]


class FetchmailUidl(Fetchmail):
    name = "fetchmail, uidl"
    how = "uidl"


class FetchmailAll(Fetchmail):
    name = "fetchmail, fetchall"
    how = " fetchall"
    remembers = False


class Getmail(Client):
    name = "getmail6"
    package = "getmail6"
    quick = True
    modes = ("clear", "tls")
    remarks = "does not know STLS"
    without = {"many": "on a busy machine its wait for its own delivery process times out, after "
                       "some hundred messages; the next poll goes on from there"}
    changes = {"bare CR": "each CR is made a line end",
               "header only": "a blank line is added", "empty": "stored as a blank line"}
    adds = "Return-Path, Delivered-To and Received fields first"

    def destination(self):
        return f"type = Maildir\npath = {self.maildir('mail')}/"

    # read_all = false: by default it fetches what it keeps at every poll, so who keeps sets it
    def poll(self, keep, password=None):
        secure = self.account.mode == "tls"
        self.write("getmailrc", f"""[retriever]
type = SimplePOP3{"SSL" if secure else ""}Retriever
server = {self.account.host}
port = {self.account.port}
username = {self.account.login}
password = {password or self.account.password}
{f"ca_certs = {self.account.authority}" if secure else ""}
[destination]
{self.destination()}
[options]
{"read_all = false" if keep else "delete = true"}
""")
        said = self.run("getmail", "--getmaildir", str(self.work), "--rcfile", "getmailrc")
        if "error" in said.lower() and "credential" in said.lower():
            raise ClientFailed(said)

    def stored(self):
        return [drop_header(octets, b"Return-Path", b"Delivered-To", b"Received")
                for octets in read_maildir(self.path("mail"))]


class Mpop(Client):
    name = "mpop"
    package = "mpop"
    quick = True
    adds = "a Received field first"

    def poll(self, keep, password=None):
        # auth user: by default it sends no password in clear
        how = {"clear": "auth user", "stls": "tls on", "tls": "tls on\ntls_starttls off"}
        settings = self.write("mpoprc", f"""
account test
host {self.account.host}
port {self.account.port}
user {self.account.login}
password {password or self.account.password}
{how[self.account.mode]}
{f"tls_trust_file {self.account.authority}" if self.account.mode != "clear" else ""}
{"keep on" if keep else ""}
delivery maildir {self.maildir("mail")}
""")
        self.run("mpop", "-C", settings, "test")

    def stored(self):
        return [drop_header(octets, b"Received") for octets in read_maildir(self.path("mail"))]


class Curl(Client):
    name = "curl"
    changes = {"empty": "stored as one line end, that of the reply +OK"}
    package = "curl"
    quick = True
    remembers = False

    def poll(self, keep, password=None):
        self.directory("mail")
        secure = [] if self.account.mode == "clear" else ["--cacert", str(self.account.authority)]
        if self.account.mode == "stls":
            secure.append("--ssl-reqd")
        scheme = "pop3s" if self.account.mode == "tls" else "pop3"
        # --fail-early: else the status is that of the last message only, and what was not fetched
        # would be deleted
        command = ["curl", "-sS", "--fail-early", "-u",
                   f"{self.account.login}:{password or self.account.password}", *secure]
        url = f"{scheme}://{self.account.host}:{self.account.port}/"
        count = len(self.run(*command, url).splitlines())
        if not count:
            return
        start = len(os.listdir(self.path("mail")))
        self.run(*command, "-o", self.path("mail", f"{start:03}.#1"), f"{url}[1-{count}]")
        if not keep:
            # -I: a reply of one line
            for number in range(count, 0, -1):
                self.run(*command, "-X", "DELE", "-I", f"{url}{number}")

    def stored(self):
        return read_directory(self.path("mail"))


class Fdm(Client):
    name = "fdm"
    package = "fdm"
    changes = {"NUL": "a line ends at its first NUL", "empty": "not stored"}
    tells = False
    remarks = "ends with status 0 after a wrong password, and says so to syslog only"
    adds = "a Received field first"

    def poll(self, keep, password=None):
        self.maildir("mail")
        # allow-multiple: the lock would be in the home that the passwd file gives the tests' user
        kind = "pop3s" if self.account.mode == "tls" else "pop3"
        more = " starttls" if self.account.mode == "stls" else ""
        settings = self.write("fdm.conf", f"""
set allow-multiple
action "store" maildir "{self.path("mail")}"
account "test" {kind} server "{self.account.host}" port {self.account.port}
	user "{self.account.login}" pass "{password or self.account.password}"
	new-only cache "{self.path("cache")}"{more} {"keep" if keep else ""}
match all action "store"
""")
        self.run("fdm", "-f", settings, "-l", "fetch")

    def stored(self):
        return [drop_header(octets, b"Received") for octets in read_maildir(self.path("mail"))]


class Movemail(Client):
    name = "mailutils movemail"
    package = "mailutils"
    remembers = False
    changes = {"From line": "From and >From are quoted by >",
               "long line": "loses 491 octets of it",
               "header only": "two blank lines are added",
               "empty": "stored as blank lines"}
    adds = "X-IMAPbase, X-UID, X-UIDL, Status and Content-Length fields"

    def url(self, password):
        scheme = "pops" if self.account.mode == "tls" else "pop"
        return f"{scheme}://{self.account.login}@{self.account.host}:{self.account.port}"

    def poll(self, keep, password=None):
        self.run("movemail.mailutils", *(["--preserve"] if keep else []),
                 self.url(password), self.path("mbox"), password or self.account.password)

    def stored(self):
        return [drop_header(octets, b"X-IMAPbase", b"X-UID", b"X-UIDL",
                            b"Content-Length", b"Status")
                for octets in read_mbox(self.path("mbox"))]


CLIENTS = [Fetchmail, FetchmailUidl, FetchmailAll, Getmail, Mpop, Curl, Fdm, Movemail]
