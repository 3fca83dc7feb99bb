"""Dovecot's authentication service on its own, in a temporary directory, with several data bases.

Nothing of the host's Dovecot or slapd is touched: each has its own configuration, data and sockets.
"""
import base64
import hashlib
import hmac
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time

MODULES = "/usr/lib/dovecot/modules"
SECONDS = 20

CONFIGURATION = """
base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/log
auth_verbose = yes
protocols =
ssl = no
auth_mechanisms = {mechanisms}
auth_failure_delay = 0
default_vsz_limit = 0
service auth {{
  unix_listener auth-client {{
    mode = 0600
    user = root
  }}
  unix_listener auth-userdb {{
    mode = 0600
    user = root
  }}
}}
service auth-worker {{
  user = root
}}
# no delay for addresses that have guessed: all tests come from one
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
{databases}
"""


def find(program):
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def version():
    done = subprocess.run([find("dovecot"), "--version"], capture_output=True, text=True, check=False)
    return done.stdout.split(" ")[0].strip()


def why_not(*modules):
    """Why this cannot be tested here, or None."""
    if os.getuid() != 0:
        return "Dovecot's processes are started by root"
    if find("dovecot") is None:
        return "needs dovecot-core"
    if not version().startswith("2.3."):
        return f"the configurations are for Dovecot 2.3, and this is {version()}"
    for module in modules:
        if not os.path.exists(os.path.join(MODULES, module)):
            return f"needs {module} of Dovecot (dovecot-sqlite, dovecot-ldap)"
    return None


def stop(process):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until(what, why):
    end = time.monotonic() + SECONDS
    while not what():
        assert time.monotonic() < end, why()
        time.sleep(0.02)


class Dovecot:
    """A running one. databases is text of its configuration."""

    def __init__(self, databases, mechanisms="plain", files=()):
        self.directory = tempfile.mkdtemp(prefix="pop3d-dovecot.")
        os.chmod(self.directory, 0o755)
        self.helpers = []
        for name, text in dict(files).items():
            self.write(name, text)
        self.write("dovecot.conf", CONFIGURATION.format(
            directory=self.directory, mechanisms=mechanisms,
            databases=databases.replace("DIR", self.directory)))
        self.process = None

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text.replace("DIR", self.directory))
        os.chmod(self.path(name), 0o644)

    def start(self):
        self.process = subprocess.Popen([find("dovecot"), "-F", "-c", self.path("dovecot.conf")],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT,
                                        start_new_session=True)
        wait_until(lambda: self.process.poll() is not None or (
            os.path.exists(self.auth) and os.path.exists(self.userdb)), self.log)
        assert self.process.poll() is None, self.log()
        return self

    @property
    def auth(self):
        return self.path("run", "auth-client")

    @property
    def userdb(self):
        return self.path("run", "auth-userdb")

    @property
    def options(self):
        return ["--dovecot", "--auth-socket", self.auth, "--userdb-socket", self.userdb]

    def log(self):
        try:
            with open(self.path("log"), encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return "no log"

    def end(self):
        for process in [self.process, *self.helpers]:
            if process is not None:
                stop(process)
        shutil.rmtree(self.directory, ignore_errors=True)


# ---- a passwd-file --------------------------------------------------------------------------

def with_passwd_file(users):
    """users: dicts of login, hash, uid, gid, home, mail, off."""
    lines = "".join(
        f"{u['login']}:{u['hash']}:{u['uid']}:{u['gid']}::{u['home']}::userdb_mail={u['mail']}"
        f"{' nologin=y reason=closed' if u.get('off') else ''}\n" for u in users)
    return Dovecot("passdb {\n driver = passwd-file\n args = DIR/users\n}\n"
                   "userdb {\n driver = passwd-file\n args = DIR/users\n}\n",
                   files={"users": lines})


# ---- SQL ------------------------------------------------------------------------------------

SQL = """
driver = sqlite
connect = DIR/users.sqlite
default_pass_scheme = CRYPT
password_query = SELECT login AS user, hash AS password, off AS nologin FROM users WHERE login = '%u'
user_query = SELECT home, uid, gid, mail FROM users WHERE login = '%u'
"""


def with_sql(users, more=""):
    dovecot = Dovecot(more + "passdb {\n driver = sql\n args = DIR/sql.conf\n}\n"
                      "userdb {\n driver = sql\n args = DIR/sql.conf\n}\n", files={"sql.conf": SQL})
    base = sqlite3.connect(dovecot.path("users.sqlite"))
    base.execute("CREATE TABLE users (login, hash, uid, gid, home, mail, off)")
    base.executemany("INSERT INTO users VALUES (:login, :hash, :uid, :gid, :home, :mail, :off)",
                     [{**u, "off": "y" if u.get("off") else None} for u in users])
    base.commit()
    base.close()
    os.chmod(dovecot.path("users.sqlite"), 0o644)
    return dovecot


# ---- LDAP -----------------------------------------------------------------------------------

SLAPD = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile DIR/slapd.pid
database mdb
maxsize 16777216
suffix "dc=example,dc=org"
rootdn "cn=admin,dc=example,dc=org"
rootpw secret
directory DIR/ldap
access to attrs=userPassword by anonymous auth by * none
access to * by * read
"""

LDAP = """
uris = ldapi://{socket}
base = dc=example,dc=org
auth_bind = yes
pass_filter = (&(objectClass=posixAccount)(uid=%u)(!(gecos=off)))
pass_attrs = uid=user
user_filter = (&(objectClass=posixAccount)(uid=%u))
user_attrs = homeDirectory=home, uidNumber=uid, gidNumber=gid, description=mail
"""


def ldif(users):
    yield "dn: dc=example,dc=org\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: example\n"
    for u in users:
        yield (f"dn: uid={u['login']},dc=example,dc=org\nobjectClass: account\n"
               f"objectClass: posixAccount\nobjectClass: top\nuid: {u['login']}\ncn: {u['login']}\n"
               f"userPassword: {{CRYPT}}{u['hash']}\nuidNumber: {u['uid']}\ngidNumber: {u['gid']}\n"
               f"homeDirectory: {u['home']}\ndescription: {u['mail']}\n"
               f"gecos: {'off' if u.get('off') else 'on'}\n")


def with_ldap(users):
    dovecot = Dovecot("passdb {\n driver = ldap\n args = DIR/ldap.conf\n}\n"
                      "userdb {\n driver = ldap\n args = DIR/ldap.conf\n}\n",
                      files={"slapd.conf": SLAPD, "users.ldif": "\n".join(ldif(users))})
    socket = dovecot.path("ldapi")
    escaped = socket.replace("/", "%2F")
    dovecot.write("ldap.conf", LDAP.format(socket=escaped))
    os.mkdir(dovecot.path("ldap"))
    done = subprocess.run([find("slapadd"), "-f", dovecot.path("slapd.conf"), "-l",
                           dovecot.path("users.ldif")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    log = open(dovecot.path("slapd.log"), "wb")  # pylint: disable=consider-using-with
    dovecot.helpers.append(subprocess.Popen(
        [find("slapd"), "-d", "0", "-f", dovecot.path("slapd.conf"), "-h", f"ldapi://{escaped}"],
        stdout=log, stderr=log, start_new_session=True))
    log.close()
    wait_until(lambda: os.path.exists(socket), lambda: "slapd has no socket")
    return dovecot


# ---- OAuth2, checked by Dovecot itself ------------------------------------------------------

OAUTH2 = """
introspection_mode = local
local_validation_key_dict = fs:posix:prefix=DIR/keys/
"""
KEY = b"an uncommonly long key for HMAC-SHA256"


def token(login, key=KEY, seconds=600):
    def part(octets):
        return base64.urlsafe_b64encode(octets).rstrip(b"=")
    now = int(time.time())
    head = part(json.dumps({"alg": "HS256", "typ": "JWT", "kid": "default"}).encode())
    body = part(json.dumps({"sub": login, "email": login, "iat": now - 1, "nbf": now - 1,
                            "exp": now + seconds, "padding": "x" * 600}).encode())
    signed = head + b"." + body
    return (signed + b"." + part(hmac.new(key, signed, hashlib.sha256).digest())).decode()


def with_oauth2(users):
    dovecot = Dovecot(
        "passdb {\n driver = oauth2\n mechanisms = xoauth2 oauthbearer\n args = DIR/oauth2.conf\n}\n"
        "userdb {\n driver = passwd-file\n args = DIR/users\n}\n",
        mechanisms="xoauth2 oauthbearer",
        files={"oauth2.conf": OAUTH2, "users": "".join(
            f"{u['login']}:x:{u['uid']}:{u['gid']}::{u['home']}::userdb_mail={u['mail']}\n"
            for u in users)})
    place = dovecot.path("keys", "default", "HS256")
    os.makedirs(place)
    with open(os.path.join(place, "default"), "wb") as file:
        file.write(base64.b64encode(KEY))
    return dovecot
