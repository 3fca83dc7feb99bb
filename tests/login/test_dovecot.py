"""pop3d-checkpw --dovecot: with Dovecot's own authentication service over three data bases, and with
doubles of it that are late, say nonsense, or say what Dovecot says seldom."""
import base64
import os
import socket
import sqlite3
import threading
import time

import pytest

import dovecot_lab
from harness import MAIL_GID, MAIL_UID
from test_checkpw import (GID, MISCONFIGURED, REFUSED, TEMPORARY, UID, checker, coded, crypt_hash,
                          root_checker, workshop)  # pylint: disable=unused-import

NEEDS = {"passwd_file": [], "sql": ["libdriver_sqlite.so"], "ldap": ["auth/libauthdb_ldap.so"],
         "oauth2": []}
PASSWORD = "correct horse"


def skip_unless(kind):
    why = dovecot_lab.why_not(*NEEDS[kind])
    if why is None and kind == "ldap" and dovecot_lab.find("slapd") is None:
        why = "needs slapd"
    if why is not None:
        pytest.skip(why)


class Service:
    """A Dovecot with joe, ann (whose account is closed) and a home that both can enter."""

    def __init__(self, kind, directory, **more):
        self.kind = kind
        self.home = os.path.join(directory, "mail", "joe")
        os.makedirs(os.path.join(self.home, "in"), exist_ok=True)
        os.chown(self.home, MAIL_UID, MAIL_GID)
        hashed = crypt_hash(PASSWORD, "$6$", 1000)
        one = {"hash": hashed, "uid": MAIL_UID, "gid": MAIL_GID, "home": self.home,
               "mail": "maildir:~/in"}
        self.dovecot = getattr(dovecot_lab, f"with_{kind}")([
            {"login": "joe@example.org", **one}, {"login": "ann@example.org", **one, "off": True},
            {"login": "root@example.org", **one, "uid": 0}], **more)

    def __enter__(self):
        try:
            self.dovecot.start()
        except BaseException:
            self.dovecot.end()
            raise
        return self

    def __exit__(self, *problem):
        self.dovecot.end()


@pytest.fixture(scope="module")
def services(workshop):
    running = {}

    def get(kind):
        skip_unless(kind)
        if kind not in running:
            running[kind] = Service(kind, workshop)
            running[kind].dovecot.start()
        return running[kind]
    yield get
    for service in running.values():
        service.dovecot.end()


@pytest.fixture(params=["passwd_file", "sql", "ldap"])
def service(request, services):
    return services(request.param)


def ask(checker, service, login="joe@example.org", password=PASSWORD, options=(), **more):
    return checker.login(login, password, options=[*service.dovecot.options, *options], **more)


# ---- the real one ---------------------------------------------------------------------------

def test_the_right_password_makes_the_user_of_the_userdb(root_checker, service):
    seen = ask(root_checker, service).seen
    assert seen["uid"] == [str(MAIL_UID)] * 4 and seen["gid"] == [str(MAIL_GID)] * 4
    assert seen["groups"] == [str(MAIL_GID)] and seen["open"] == [0, 1, 2]
    assert seen["cwd"] == service.home
    assert {name: seen["env"].get(name) for name in ("USER", "HOME", "MAILDIR", "SHELL")} == {
        "USER": "joe@example.org", "HOME": service.home, "MAILDIR": "in", "SHELL": "/bin/sh"}


def test_a_wrong_password_and_an_unknown_login_are_refused_alike(root_checker, service):
    for login, password in (("joe@example.org", "wrong"), ("nobody@example.org", PASSWORD),
                            ("joe", PASSWORD), ("joe@example.org", PASSWORD + " ")):
        result = ask(root_checker, service, login, password)
        assert (result.status, result.out) == (REFUSED, "")
        assert result.err == f"pop3d-checkpw: checkpw-refused ip=192.0.2.1 user={login}\n"


def test_an_account_that_is_closed_is_refused(root_checker, service):
    result = ask(root_checker, service, "ann@example.org")
    assert (result.status, result.out) == (REFUSED, ""), result
    assert PASSWORD not in result.err


def test_root_is_never_served(root_checker, service):
    result = ask(root_checker, service, "root@example.org")
    assert (result.status, result.out) == (REFUSED, ""), result
    # Dovecot's own passwd-file has no such user.
    assert service.kind == "passwd_file" or "uid 0" in result.err, result


def test_logins_are_folded_and_completed_before_dovecot_sees_them(root_checker, service):
    result = ask(root_checker, service, "JOE",
                 options=["--fold-login", "--default-domain", "example.org"])
    assert result.seen["env"]["USER"] == "joe@example.org"


@pytest.mark.parametrize("login", ["joe\n", "joe\tx", "joe\x01t", "\x7f", "j" * 256, "joe\r"])
def test_a_login_that_is_none_is_not_sent(root_checker, service, login):
    assert ask(root_checker, service, login).status == REFUSED


def test_dovecot_is_told_where_the_client_is(root_checker, services):
    service = services("passwd_file")
    before = len(service.dovecot.log())
    ask(root_checker, service, password="wrong", env={"TCPREMOTEIP": "2001:db8::7"})
    ask(root_checker, service, password="wrong", env={"TCPREMOTEIP": "x\tnologin"})
    said = service.dovecot.log()[before:]
    assert "(joe@example.org,2001:db8::7): Password mismatch" in said
    assert "(joe@example.org): Password mismatch" in said and "nologin" not in said


def test_root_needs_no_rights_over_other_users_files(root_checker, service):
    """As under the shipped units: the sockets are root's own."""
    root_checker.prefix = ["/usr/bin/setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    assert ask(root_checker, service).seen["env"]["USER"] == "joe@example.org"


def test_a_session_of_pop3d(lab, root_checker, service):
    box = os.path.join(service.home, "in")
    for name in ("new", "cur", "tmp"):
        os.makedirs(os.path.join(box, name), exist_ok=True)
    with open(os.path.join(box, "new", f"1700000000.{service.kind}.host"), "wb") as file:
        file.write(b"Subject: x\n\nbody\n")
    for path, places, names in os.walk(service.home):
        for name in [".", *places, *names]:
            os.chown(os.path.join(path, name), MAIL_UID, MAIL_GID)
    server = lab.start([lab.pop3d, "--fail-delay", "0", "--", root_checker.binary,
                        *service.dovecot.options])
    assert server.line().startswith("+OK ")
    assert server.ask("USER joe@example.org").startswith("+OK")
    assert server.ask("PASS wrong").startswith("-ERR [AUTH]")
    assert server.ask("USER joe@example.org").startswith("+OK")
    assert server.ask(f"PASS {PASSWORD}").startswith("+OK"), server.report()
    assert server.ask("STAT").startswith("+OK 1 "), server.report()
    assert server.ask("DELE 1").startswith("+OK")
    assert server.ask("QUIT").startswith("+OK")


def test_a_data_base_that_is_gone_is_temporary(root_checker, workshop):
    skip_unless("sql")
    broken = Service("sql", workshop)
    os.unlink(broken.dovecot.path("users.sqlite"))
    with broken:
        result = ask(root_checker, broken)
        assert result.status == TEMPORARY and "step=auth" in result.err and "code=temp" in result.err


def test_a_directory_server_that_is_gone_is_temporary(root_checker, workshop):
    skip_unless("ldap")
    with Service("ldap", workshop) as broken:
        assert ask(root_checker, broken).status == 0
        dovecot_lab.stop(broken.dovecot.helpers[0])
        result = ask(root_checker, broken, options=["--answer-timeout", "30"])
        assert result.status == TEMPORARY and "checkpw-dovecot" in result.err, result


@pytest.mark.parametrize("more, status", [("auth_cache_size = 1M\n", 0), ("", TEMPORARY)])
def test_dovecots_cache_answers_for_a_data_base_that_has_lost_its_users(root_checker, workshop, more,
                                                                        status):
    skip_unless("sql")
    with Service("sql", workshop, more=more) as cached:
        assert ask(root_checker, cached).status == 0
        base = sqlite3.connect(cached.dovecot.path("users.sqlite"))
        base.execute("DROP TABLE users")
        base.commit()
        base.close()
        assert ask(root_checker, cached).status == status


def test_clients_are_told_to_come_again_where_dovecot_is_not_there(lab, root_checker, double):
    server = lab.start([lab.pop3d, "--fail-delay", "0", "--", root_checker.binary, *double.options])
    assert server.line().startswith("+OK ")
    assert server.ask("USER joe").startswith("+OK")
    assert server.ask("PASS secret").startswith("-ERR [SYS/TEMP]"), server.report()


def test_dovecot_that_has_gone_is_temporary(root_checker, workshop):
    skip_unless("passwd_file")
    with Service("passwd_file", workshop) as gone:
        assert ask(root_checker, gone).status == 0
        dovecot_lab.stop(gone.dovecot.process)
        result = ask(root_checker, gone, options=["--answer-timeout", "2"])
        assert result.status == TEMPORARY, result
        assert f"checkpw-dovecot step=auth socket={gone.dovecot.auth} user=joe@example.org problem=" \
            in result.err


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_tokens(root_checker, services, mechanism):
    service = services("oauth2")
    env = {"AUTH_MECHANISM": mechanism, "TCPREMOTEIP": "192.0.2.1"}
    good = dovecot_lab.token("joe@example.org")
    assert len(good) > 512
    assert ask(root_checker, service, password=good, env=env).seen["env"]["MAILDIR"] == "in"
    for bad in (dovecot_lab.token("joe@example.org", b"another key that is as long as that"),
                dovecot_lab.token("joe@example.org", seconds=-5), dovecot_lab.token("ann@example.org"),
                "x", good + "\x01", "\x01auth=Bearer " + good):
        result = ask(root_checker, service, password=bad, env=env)
        assert result.status == REFUSED and good not in result.err, result
    assert ask(root_checker, service, password=good).status == REFUSED  # 512 octets for passwords
    result = ask(root_checker, service, password="secret")
    assert result.status == MISCONFIGURED and "auth_mechanisms" in result.err, result


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_a_token_in_a_session_of_pop3d(lab, root_checker, services, mechanism):
    service = services("oauth2")
    for name in ("new", "cur", "tmp"):
        os.makedirs(os.path.join(service.home, "in", name), exist_ok=True)
        os.chown(os.path.join(service.home, "in", name), MAIL_UID, MAIL_GID)
    os.chown(os.path.join(service.home, "in"), MAIL_UID, MAIL_GID)
    token = dovecot_lab.token("joe@example.org")
    message = (f"user=joe@example.org\x01auth=Bearer {token}\x01\x01" if mechanism == "XOAUTH2" else
               f"n,a=joe@example.org,\x01auth=Bearer {token}\x01\x01")
    server = lab.start([lab.pop3d, "--fail-delay", "0", "--sasl", "xoauth2,oauthbearer",
                        "--long-credentials", "--", root_checker.binary, *service.dovecot.options])
    assert server.line().startswith("+OK ")
    assert server.ask(f"AUTH {mechanism}") == "+ ", server.report()
    assert server.ask(base64.b64encode(message.encode()).decode()).startswith("+OK"), server.report()
    assert server.ask("QUIT").startswith("+OK")


def test_a_token_that_is_too_long_for_dovecot_is_temporary_trouble(root_checker, services):
    env = {"AUTH_MECHANISM": "XOAUTH2", "TCPREMOTEIP": "192.0.2.1"}
    service = services("oauth2")
    for octets, status in ((5500, REFUSED), (13300, TEMPORARY), (14000, REFUSED)):
        result = ask(root_checker, service, password="x" * octets, env=env)
        assert result.status == status and "xxxx" not in result.err, (octets, result)


# ---- doubles --------------------------------------------------------------------------------

GREETING = (b"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tXOAUTH2\nSPID\t1\nCUID\t1\n"
            b"COOKIE\t0123456789abcdef0123456789abcdef\nDONE\n")
HELLO = b"VERSION\t1\t2\nSPID\t1\n"


class Double:
    """Both sockets. Sends what it is told at once, or after the line that begins so."""

    def __init__(self, directory):
        self.auth = os.path.join(directory, "a")
        self.userdb = os.path.join(directory, "u")
        self.got = {self.auth: b"", self.userdb: b""}
        self.listeners = []
        self.dovecot = self

    @property
    def options(self):
        return ["--dovecot", "--auth-socket", self.auth, "--userdb-socket", self.userdb,
                "--answer-timeout", "2"]

    def serve(self, path, first, after=b"", then=b"", pieces=0, keep=True):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        os.chmod(path, 0o666)
        listener.listen(8)
        self.listeners.append(listener)

        def send(peer, octets):
            step = pieces or len(octets) or 1
            for at in range(0, len(octets), step):
                peer.sendall(octets[at:at + step])

        def run():
            try:
                peer, _ = listener.accept()
                with peer:
                    send(peer, first)
                    while after not in self.got[path]:
                        octets = peer.recv(65536)
                        if not octets:
                            return
                        self.got[path] += octets
                    send(peer, then)
                    while keep and peer.recv(65536):
                        pass
            except OSError:
                pass
        threading.Thread(target=run, daemon=True).start()

    def auth_says(self, reply, first=GREETING, **more):
        self.serve(self.auth, first, b"resp=", reply, **more)

    def userdb_says(self, reply, first=HELLO, **more):
        self.serve(self.userdb, first, b"USER\t1\t", reply, **more)

    def end(self):
        for listener in self.listeners:
            listener.close()


@pytest.fixture
def double(checker):
    double = Double(checker.directory)
    yield double
    double.end()


def good_user(checker, more=b"", name=b"joe"):
    return b"USER\t1\t%s\tuid=%d\tgid=%d\thome=%s%s\n" % (name, UID, GID, checker.home.encode(), more)


def test_what_is_sent(checker, double):
    double.auth_says(b"OK\t1\tuser=joe@example.org\n")
    double.userdb_says(good_user(checker))
    env = {"TCPREMOTEIP": "192.0.2.1", "TCPREMOTEPORT": "1234", "TCPLOCALIP": "192.0.2.2",
           "TCPLOCALPORT": "110", "POP3D_SESSION": "abc123", "SSL_PROTOCOL": "TLSv1.3"}
    assert ask(checker, double, "joe", "s\tx", env=env).seen["env"]["USER"] == "joe"
    where = b"session=abc123\tlip=192.0.2.2\trip=192.0.2.1\tlport=110\trport=1234"
    lines = double.got[double.auth].split(b"\n")
    assert lines[0] == b"VERSION\t1\t2" and lines[1].startswith(b"CPID\t") and len(lines) == 4
    assert lines[2] == b"AUTH\t1\tPLAIN\tservice=pop3\tsecured\t" + where + b"\tresp=" + \
        base64.b64encode(b"\0joe\0s\tx")
    assert double.got[double.userdb] == (b"VERSION\t1\t1\nUSER\t1\tjoe@example.org\tservice=pop3\t" +
                                         where + b"\n")


@pytest.mark.parametrize("right", [True, False])
def test_the_password_is_nowhere_in_memory_when_the_program_is_run(checker, double, workshop, right):
    """Neither as it is nor in base64, the end of which is that of the message."""
    path = os.path.join(checker.directory, "notes")
    with open(path, "w", encoding="ascii"):
        os.chmod(path, 0o666)
    checker.preload = os.path.join(workshop, "preload.so")
    password = "correct horse battery staple"
    encoded = base64.b64encode(f"\0joe\0{password}".encode()).decode()
    double.auth_says(b"OK\t1\tuser=joe\n" if right else b"FAIL\t1\n")
    double.userdb_says(good_user(checker))
    result = ask(checker, double, "joe", password, env={
        "TEST_NOTES": path, "TEST_SECRET": coded(password), "TEST_HASH": coded(encoded[-24:])})
    assert result.status == (0 if right else REFUSED), result
    assert encoded.encode() in double.got[double.auth]
    with open(path, encoding="ascii") as file:
        found = [line for line in file.read().splitlines() if line.startswith("exec ")]
    assert found == (["exec TEST_SECRET 0", "exec TEST_HASH 0"] if right else []), found


@pytest.mark.parametrize("env, secured", [
    ({"TCPREMOTEIP": "192.0.2.1"}, False), ({"TCPREMOTEIP": "127.0.0.1"}, True),
    ({"TCPREMOTEIP": "::1"}, True), ({"TCPREMOTEIP": "192.0.2.1", "TCPLOCALIP": "192.0.2.1"}, True),
    ({"TCPREMOTEIP": "192.0.2.1", "POP3D_TLS": "yes"}, True),
    ({"TCPREMOTEIP": "192.0.2.1", "POP3D_TLS": "no", "SSL_PROTOCOL": "TLSv1.3"}, False)])
def test_what_counts_as_secured(checker, double, env, secured):
    double.auth_says(b"FAIL\t1\n")
    assert ask(checker, double, env=env).status == REFUSED
    assert (b"\tsecured\t" in double.got[double.auth]) == secured


@pytest.mark.parametrize("pieces", [1, 7])
def test_replies_in_pieces(checker, double, pieces):
    double.auth_says(b"OK\t1\tuser=joe\n", pieces=pieces)
    double.userdb_says(good_user(checker), pieces=pieces)
    assert ask(checker, double).seen["cwd"] == checker.home


@pytest.mark.parametrize("reply, status, said", [
    (b"", REFUSED, None), (b"\tuser=joe", REFUSED, None),
    (b"\ttemp", TEMPORARY, "code=temp reason=-"), (b"\tcode=temp_fail", TEMPORARY, "code=temp "),
    (b"\tuser=joe\tcode=user_disabled\treason=come back", REFUSED,
     'code=user_disabled reason="come back"'),
    (b"\tuser_disabled", REFUSED, "code=user_disabled"), (b"\tpass_expired", REFUSED, "code=pass_exp"),
    (b"\tcode=pass_expired", REFUSED, "code=pass_expired"), (b"\tauthz", REFUSED, "code=authz"),
    (b"\treason=a\x01tb\x01l", REFUSED, 'reason="a\\x09b\\x0a"'), (b"\tnew=thing", REFUSED, None)])
def test_failures_and_their_codes(checker, double, reply, status, said):
    double.auth_says(b"FAIL\t1" + reply + b"\n")
    result = ask(checker, double)
    assert (result.status, result.out) == (status, ""), result
    assert (said is None) == ("checkpw-dovecot" not in result.err) and (said or "") in result.err


@pytest.mark.parametrize("reply", [b"\tuser=joe\tnologin", b"\tproxy\thost=192.0.2.9",
                                   b"\tnologin=y\treason=closed"])
def test_a_user_who_is_not_to_be_served_here(checker, double, reply):
    double.auth_says(b"OK\t1" + reply + b"\n")
    result = ask(checker, double)
    assert result.status == REFUSED and "code=nologin" in result.err, result


BAD_GREETINGS = {
    "nothing": b"", "a line of another protocol": b"220 mail ESMTP\n", "no end": b"VERSION\t1\t2",
    "another major version": GREETING.replace(b"VERSION\t1", b"VERSION\t2"),
    "no version": GREETING.split(b"\n", 1)[1], "an unknown line": b"VERSION\t1\t2\nHELLO\nDONE\n",
    "no DONE": GREETING.replace(b"DONE\n", b""), "a NUL": b"VERSION\t1\t2\0\nDONE\n",
    "an endless line": b"VERSION\t1\t" + b"2" * 70000, "endless lines": b"VERSION\t1\t2\n" +
    b"MECH\tX\n" * 5000, "half an escape": b"VERSION\t1\t2\nMECH\tPLAIN\t\x01\nDONE\n",
    "too many fields": b"VERSION\t1\t2\nMECH\tPLAIN" + b"\tx" * 200 + b"\nDONE\n",
}


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("greeting", BAD_GREETINGS.values(), ids=BAD_GREETINGS.keys())
def test_a_greeting_that_is_none_is_temporary(checker, double, greeting, keep):
    double.auth_says(b"OK\t1\tuser=joe\n", first=greeting, keep=keep)
    double.userdb_says(good_user(checker))
    result = ask(checker, double)
    assert (result.status, result.out) == (TEMPORARY, ""), result
    assert result.err.count("checkpw-dovecot step=auth ") == 1 and PASSWORD not in result.err, result


BAD_REPLIES = [b"OK\t2\tuser=joe\n", b"OK\n", b"\n", b"OK\t1\tuser=\n", b"OK\t1\tuser=a\x01tb\n", b"OK\t1",
               b"OK\t1\tuser=" + b"j" * 256 + b"\n", b"CONT\t1\t\n", b"OK\t1\tuser=j\0oe\n",
               b"OK\t1\tuser=j\x010oe\n", b"GOOD\t1\n", b"OK 1 user=joe\n", b"USER\t1\tjoe\tuid=1\n",
               b"FAIL\t2\n", b"X" * 20000, b"OK\t1" + b"\tx" * 200 + b"\n", b""]


@pytest.mark.parametrize("reply", BAD_REPLIES, ids=range(len(BAD_REPLIES)))
def test_a_reply_that_is_none_is_temporary(checker, double, reply):
    double.auth_says(reply, keep=len(reply) % 2 == 0)
    double.userdb_says(good_user(checker))
    result = ask(checker, double)
    assert (result.status, result.out) == (TEMPORARY, ""), result


BAD_USERS = [b"OK\t1\tjoe\n", b"USER\t2\tjoe\tuid=1\tgid=1\thome=/\n", b"USER\t1\n", b"USER\n", b"",
             b"FAIL\t1\n", b"FAIL\t1\tuserdb is down\n", b"FAIL\t1\ttemp\treason=x\n", b"Y" * 20000,
             b"USER\t1\t\tuid=1\tgid=1\thome=/\n", b"USER\t1\ta\x01lb\tuid=1\tgid=1\thome=/\n",
             b"USER\t1\tjoe\tuid=1\0\tgid=1\thome=/\n"]


@pytest.mark.parametrize("reply", BAD_USERS, ids=range(len(BAD_USERS)))
def test_a_userdb_that_says_nonsense_is_temporary(checker, double, reply):
    double.auth_says(b"OK\t1\tuser=joe\n")
    double.userdb_says(reply)
    result = ask(checker, double)
    assert (result.status, result.out) == (TEMPORARY, ""), result
    assert "checkpw-dovecot step=userdb " in result.err


@pytest.mark.parametrize("more, problem", [
    ("uid=x\tgid=1\thome=/", "uid is not"), ("uid=1\tgid=-1\thome=/", "gid is not"),
    ("uid=4294967295\tgid=1\thome=/", "uid is not"), ("gid=1\thome=/", "no --as"),
    ("uid=1\thome=/", "no --as"), ("uid=1\tgid=1", "no --home"), ("uid=1\tgid=1\thome=x", "absolute"),
    ("uid=1\tgid=1\thome=", "absolute"), ("uid=1\tgid=1\thome=/" + "x" * 1024, "too long"),
    ("uid=1\tgid=1\thome=/\tmail=mbox:~/m", "not in a Maildir"),
    ("uid=1\tgid=1\thome=/\tmail_driver=mdbox\tmail_path=/x", "not in a Maildir"),
    ("uid=1\tgid=1\thome=/\tchroot=/x", "chroot")])
def test_a_user_who_cannot_be_served_is_misconfigured(checker, double, more, problem):
    double.auth_says(b"OK\t1\tuser=joe\n")
    double.userdb_says(b"USER\t1\tjoe\t" + more.encode() + b"\n")
    result = ask(checker, double)
    assert result.status == MISCONFIGURED and problem in result.err, result


def test_a_user_whom_only_the_passdb_knows_is_misconfigured(checker, double):
    double.auth_says(b"OK\t1\tuser=joe\n")
    double.userdb_says(b"NOTFOUND\t1\n")
    result = ask(checker, double)
    assert result.status == MISCONFIGURED and "userdb has no such user" in result.err, result


@pytest.mark.parametrize("mail, maildir", [
    ("mail=maildir:~/in:LAYOUT=fs", "in"), ("mail=/var/mail/joe", "/var/mail/joe"), ("mail=", None),
    ("mail_driver=maildir\tmail_path=~/in", "in"), ("mail_path=/x", "/x"), ("x=y", None)])
def test_where_the_mail_is(checker, double, mail, maildir):
    double.auth_says(b"OK\t1\tuser=joe\n")
    double.userdb_says(good_user(checker, b"\t" + mail.encode()))
    assert ask(checker, double).seen["env"].get("MAILDIR") == maildir


def test_as_and_home_are_for_users_who_have_none(checker, double):
    double.auth_says(b"OK\t1\n")
    double.userdb_says(b"USER\t1\tjoe@home\n")
    pattern = os.path.join(checker.directory, "%d")
    result = ask(checker, double, "joe@home",
                 options=["--as", f"{UID}:{GID}", "--home", pattern])
    assert result.seen["cwd"] == checker.home and result.seen["gid"] == [str(GID)] * 4


def test_a_server_that_is_slow_is_not_waited_for(checker, double):
    double.auth_says(b"OK\t1\tuser=joe\n")
    double.userdb_says(b"", first=b"")
    begun = time.monotonic()
    result = ask(checker, double)
    assert result.status == TEMPORARY and "no answer in time" in result.err, result
    assert 1.5 < time.monotonic() - begun < 10


def test_sockets_that_are_not_there_are_temporary(checker, double):
    result = ask(checker, double)
    assert result.status == TEMPORARY and "No such file" in result.err, result
    double.auth_says(b"OK\t1\tuser=joe\n")
    result = ask(checker, double)
    assert result.status == TEMPORARY and "step=userdb" in result.err, result
    double.auth = "/" + "x" * 200
    assert ask(checker, double).status == TEMPORARY


def test_a_full_queue_is_waited_for_and_then_temporary(checker, double):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(double.auth)
    os.chmod(double.auth, 0o666)
    listener.listen(0)
    waiting = []
    try:
        for _ in range(4):
            peer = socket.socket(socket.AF_UNIX)
            peer.setblocking(False)
            waiting.append(peer)
            try:
                peer.connect(double.auth)
            except BlockingIOError:
                break
        result = ask(checker, double)
        assert result.status == TEMPORARY and "in time" in result.err, result
    finally:
        for peer in (*waiting, listener):
            peer.close()


def test_apop_is_refused(checker, double):
    assert ask(checker, double, env={"AUTH_MECHANISM": "APOP"}).status == REFUSED
