"""Libraries of programming languages, each driven by a short program in that language."""
import json
import os

from client import Client, read_directory
from launch import TREE

PROGRAMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs")


CUT = "a line ends at its first NUL"
DOTS = {"dots": "lines that begin with a dot keep the second one of the wire",
        "8 bit": "what is not UTF-8 is replaced", "From line": "without the last blank line"}


class Library(Client):
    """A program: host port mode login password authority directory keep|delete."""

    command = ()
    source = ""
    remembers = False

    def environment(self):
        # those that cannot be told an authority have it from OpenSSL's variable, or Node's
        authority = str(self.account.authority)
        return {**super().environment(), "SSL_CERT_FILE": authority, "NODE_EXTRA_CA_CERTS": authority}

    def poll(self, keep, password=None):
        self.directory("mail")
        account = self.account
        self.run(*self.command, os.path.join(PROGRAMS, self.source), account.host,
                 str(account.port), account.mode, account.login, password or account.password,
                 str(account.authority or ""), self.path("mail"), "keep" if keep else "delete")

    def stored(self):
        return read_directory(self.path("mail"))


class Poplib(Library):
    name = "Python poplib"
    package = "python3"
    quick = True
    command = ("/usr/bin/python3",)
    changes = {"long line": "refused: poplib takes no line of more than 2,048 octets"}
    source = "poplib-client.py"


class NetPop3(Library):
    name = "Perl Net::POP3"
    package = "perl"
    quick = True
    command = ("perl",)
    source = "net-pop3.pl"


class MailPop3Client(Library):
    name = "Perl Mail::POP3Client"
    package = "libmail-pop3client-perl"
    modes = ("clear", "tls")
    command = ("perl",)
    source = "mail-pop3client.pl"


class MailBox(Library):
    name = "Perl Mail::Box"
    modes = ("clear", "tls")
    remarks = "does not know STLS"
    changes = {"From line": "without the last blank line", "header only": "a blank line is added",
               "empty": "stored as a blank line"}
    without = {"timeout": "it connects anew, but stores and deletes the message in question empty"}
    package = "libmail-box-pop3-perl"
    command = ("perl",)
    source = "mail-box.pl"


class Ruby(Library):
    name = "Ruby net-pop"
    package = "ruby"
    modes = ("clear", "tls")
    remarks = "does not know STLS"
    command = ("ruby",)
    source = "net-pop.rb"


class Php(Library):
    name = "PHP imap (c-client)"
    package = "php8.2-imap"
    modes = ("clear", "tls")
    changes = {"NUL": CUT}
    remarks = "STLS fails with every server: what Debian builds offers old protocols only"
    command = ("php",)
    source = "imap.php"


class Java(Library):
    name = "Jakarta Mail"
    package = "libjakarta-mail-java"
    jars = "/usr/share/java/jakarta-mail.jar:/usr/share/java/jakarta-activation.jar"
    command = ("java", "-cp", jars)
    source = "Pop.java"
    timeout = 90

    def poll(self, keep, password=None):
        if self.account.mode != "clear" and not os.path.exists(self.path("trust")):
            self.run("keytool", "-importcert", "-noprompt", "-alias", "ca", "-storepass", "changeit",
                     "-file", self.account.authority, "-keystore", self.path("trust"))
        super().poll(keep, password)

    def environment(self):
        trust = f"-Djavax.net.ssl.trustStore={self.path('trust')} " \
                "-Djavax.net.ssl.trustStorePassword=changeit"
        return {**super().environment(),
                "JAVA_TOOL_OPTIONS": trust if self.account.mode != "clear" else ""}


class Node(Library):
    """Installed by npm below build/npm."""

    package = ""
    module = ""
    command = ("node",)
    modes = ("clear", "tls")

    @classmethod
    def version(cls):
        path = os.path.join(TREE, "build", "npm", "node_modules", cls.module, "package.json")
        if not os.path.exists(path):
            return None
        with open(path, encoding="utf-8") as file:
            return json.load(file)["version"]

    def environment(self):
        return {**super().environment(), "NODE_PATH": os.path.join(TREE, "build", "npm",
                                                                   "node_modules")}


class NodePop3(Node):
    name = "node-pop3 (npm)"
    module = "node-pop3"
    source = "node-pop3.js"
    changes = DOTS


class Mailpop3(Node):
    name = "mailpop3 (npm)"
    module = "mailpop3"
    source = "mailpop3.js"
    changes = DOTS


class Etpan(Library):
    name = "libetpan"
    changes = {"NUL": CUT}
    package = "libetpan-dev"
    source = "etpan.c"

    def poll(self, keep, password=None):
        self.directory("mail")
        program = self.path("etpan")
        if not os.path.exists(program):
            self.run("cc", "-o", program, os.path.join(PROGRAMS, self.source), "-letpan")
        account = self.account
        there = len(os.listdir(self.path("mail")))
        self.run(program, account.host, str(account.port), account.mode, account.login,
                 password or account.password, str(account.authority or ""), self.path("mail"),
                 "keep" if keep else "delete", str(there))


CLIENTS = [Php, NetPop3, MailPop3Client, MailBox, Poplib, Ruby, Java, NodePop3, Mailpop3, Etpan]
