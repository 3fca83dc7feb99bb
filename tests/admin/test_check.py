"""pop3d --check: all is ok on a host that is set up well, and each mistake is named with what to do."""
import ctypes
import errno
import os
import pathlib
import platform
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import time

import pytest

from harness import ROOT
from jail import SANITIZED
from machine import Machine, namespaces
from tls_lab import certificate_of_days

HOME = "/var/vmail/kermit"
MAILDIR = HOME + "/Maildir"
PASSWD = "/etc/pop3d/passwd"
PEM = "/etc/pop3d/tls.pem"
TICKETS = "/etc/pop3d/tickets"
SBIN = "/usr/local/sbin/"
UID = 4321
TLS_OPTIONS = f"--cert {PEM} --ticket-keys {TICKETS}"
CHECKER = f"{SBIN}pop3d-checkpw -f {PASSWD}"
GOOD = "$6$SaltSaltSaltSalt$" + "a" * 86

SERVICE = """service {name}
{{
	disable		= {disable}
	type		= UNLISTED
	port		= {port}
	socket_type	= stream
	protocol	= tcp
	wait		= no
	user		= {user}
	server		= {server}
	server_args	= {arguments}
	flags		= IPv6
}}
"""


class Host:
    """A machine that serves ports 110 and 995 by xinetd, and what a test does to it."""

    def __init__(self, lab, path):
        self.machine = Machine(lab, path)
        self.name = socket.gethostname()
        self.servers = []

    def sh(self, commands):
        self.machine.run("sh", "-e", "-c", commands, directory="/")

    def service(self, name="pop3", port=110, options="", checker=CHECKER, tls="--starttls ",
                disable="no", user="root", pop3d=SBIN + "pop3d"):
        server, arguments = pop3d, f"{options} -- {checker}"
        if tls is not None:
            server = SBIN + "pop3d-tls"
            arguments = f"{tls}{TLS_OPTIONS} -- {pop3d} {arguments}"
        self.machine.write(f"/etc/xinetd.d/{name}", SERVICE.format(
            name=name, port=port, server=server, arguments=arguments, disable=disable, user=user))

    def certificate(self, names=None):
        names = names or self.name
        self.sh(f"""cd /etc/pop3d
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
            -subj /CN=mail -addext subjectAltName=DNS:{names} \
            -keyout key -out crt >/dev/null 2>&1
        cat key crt >tls.pem
        chmod 600 tls.pem""")

    def dated_certificate(self, first, last):
        with tempfile.TemporaryDirectory() as directory:
            shutil.copy(certificate_of_days(pathlib.Path(directory), first, last),
                        self.machine.at(PEM))

    def set_up(self):
        """Everything as it should be, whatever was there before."""
        self.sh(f"""
        chattr -i {HOME} 2>/dev/null || :
        rm -rf /etc/pop3d /etc/xinetd.d /etc/inetd.conf {HOME} /etc/systemd/system /run/systemd
        mkdir -p /etc/pop3d /etc/xinetd.d /etc/systemd/system {MAILDIR}/new {MAILDIR}/cur {MAILDIR}/tmp
        printf 'Subject: x\\n\\ntext\\n' >{MAILDIR}/new/1700000001.a.test
        printf 'Subject: y\\n\\ntext\\n' >'{MAILDIR}/cur/1700000002.b.test:2,S'
        chown -R {UID}:{UID} {HOME}
        chmod -R go= {HOME}
        chmod 755 /var/vmail /etc/pop3d
        rm -f {TICKETS}
        {SBIN}pop3d-tls --make-ticket-keys {TICKETS}""")
        self.passwd([f"kermit:{GOOD}:{UID}:{UID}:{HOME}"])
        self.certificate()
        self.service()
        self.service("pop3s", 995, tls="")

    def passwd(self, lines, mode=0o600):
        self.machine.write(PASSWD, "".join(line + "\n" for line in lines), mode)

    def serve(self, *ports):
        """Starts xinetd, with the files that are there now."""
        self.machine.write("/etc/xinetd.conf", "includedir /etc/xinetd.d\n")
        self.servers.append(self.machine.start(
            set(ports), "xinetd", "-dontfork", "-inetd_ipv6", "-f", "/etc/xinetd.conf"))

    def listen(self, port, name):
        """Somebody else listens at a port: a program of this name."""
        code = (f"import socket,time; s=socket.create_server(('', {port})); time.sleep(600)")
        self.sh(f"mkdir -p /usr/local/bin; ln -sf /usr/bin/python3 /usr/local/bin/{name}")
        self.servers.append(self.machine.start({port}, f"/usr/local/bin/{name}", "-c", code))

    def stop_servers(self):
        for server in self.servers:
            server.kill()
            server.wait()
        self.machine.run("pkill", "-x", "xinetd|dovecot|systemd", check=False, directory="/")
        for _ in range(200):
            if not self.machine.listening() & {110, 995}:
                break
            time.sleep(0.02)
        self.servers = []

    def check(self, *words):
        """(status, lines) of pop3d --check."""
        done = self.machine.run(SBIN + "pop3d", "--check", *words, check=False, directory="/")
        return done.returncode, done.stdout.decode().splitlines(), done.stderr.decode()


@pytest.fixture(scope="module")
def host(programs):
    if not ROOT:
        pytest.skip("needs root for a machine of its own")
    if SANITIZED:
        pytest.skip("programs with sanitizers need options that no service has")
    for name in ("xinetd", "openssl"):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed")
    if not os.path.exists(os.path.join(programs.build, "pop3d-tls")):
        pytest.skip("pop3d-tls is not built")
    if subprocess.run([*namespaces(), "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("no namespaces to be had here")
    made = Host(programs, os.path.join(programs.directory, "checked-machine"))
    made.set_up()
    made.serve(110, 995)
    yield made
    made.stop_servers()
    made.machine.stop()


@pytest.fixture
def good(host):
    host.set_up()
    if not {110, 995} <= host.machine.listening() or not host.servers:
        host.serve(110, 995)
    return host


def wanted(level, pattern, lines):
    return [line for line in lines if re.match(rf"{level} +{pattern}", line)]


def test_everything_is_ok_on_a_good_host(good):
    status, lines, error = good.check("kermit")
    assert [line for line in lines if not line.startswith("ok ")] == []
    assert (status, error) == (0, "")
    about = {line.split()[1].rstrip(":") for line in lines}
    assert {"service", "greeter", "checker", "password", "certificate", "tickets", "port", "kernel",
            "clock", "login", "home", "Maildir"} <= about
    assert wanted("ok", "Maildir: .*, messages: 2, octets: 40", lines), lines


def sh(commands):
    return lambda host: host.sh(commands)


def passwd(*lines):
    return lambda host: host.passwd(lines)


def service(**how):
    def change(host):
        host.service(**how)
        host.service("pop3s", 995, **{**how, "tls": "" if how.get("tls", "") is not None else None})
    return change


def both(*changes):
    def change(host):
        for one in changes:
            one(host)
    return change


def program(name, text, mode="755"):
    """A checker of one's own at SBIN/name, and both services with it."""
    def change(host):
        host.machine.write(SBIN + name, text)
        host.sh(f"chmod {mode} {SBIN}{name}")
        service(checker=SBIN + name)(host)
    return change


ENTRY = f"kermit:{GOOD}:{UID}:{UID}:{HOME}"

# what was done, the level and the beginning of the finding, with what is to be done
MISTAKES = {
    "the checker is missing":
        (service(checker=SBIN + "nothing"), "wrong",
         f"program: {SBIN}nothing, .* is not there .*: install it, or mend the path"),
    "the helper for accounts of the host is missing":
        (both(sh(f"mv {SBIN}pop3d-checkpw-host {SBIN}moved-host"),
              service(checker=f"{SBIN}pop3d-checkpw --system")), "wrong",
         f"program: {SBIN}pop3d-checkpw-host, .* is not there .*: install it, or mend the path"),
    "the checker cannot be executed":
        (program("plain", "#!/bin/sh\nexit 1\n", "644"), "wrong",
         f"program: {SBIN}plain, .*, cannot be run: chmod 755 {SBIN}plain"),
    "everybody can replace the checker":
        (program("open", "#!/bin/sh\nexit 1\n", "757"), "wrong",
         f"program: {SBIN}open can be replaced by other users than root: .*chmod go-w"),
    "the checker lets everybody in":
        (program("anybody", "#!/bin/sh\nexec setpriv --reuid 4321 --regid 4321 --clear-groups "
                 f"env -C {HOME} \"$@\"\n"), "wrong",
         "checker: it lets in a login that does not exist .*use another one"),
    "the checker has a temporary failure":
        (program("trouble", "#!/bin/sh\necho database is down >&2\nexit 111\n"), "wrong",
         "checker: it fails, and clients are told to try later: database is down"),
    "the checker says that it is misconfigured":
        (program("confused", "#!/bin/sh\necho 'error=no-such-table' >&2\nexit 100\n"), "wrong",
         "checker: it is misconfigured, or cannot be run: .*no-such-table"),
    "an option that does not exist":
        (service(options="--lokc"), "wrong",
         "options: pop3d refuses the options of /etc/xinetd.d/pop3; .*mend them"),
    "the service does not start as root":
        (service(user="nobody"), "warning",
         "service: /etc/xinetd.d/pop3 starts pop3d as user nobody: .*let it start as root"),
    "no TLS":
        (service(tls=None), "warning",
         "tls: no service has TLS: clients on other hosts cannot log in; enable port 995"),
    "no TLS, and nothing that could do it":
        (both(service(tls=None), sh(f"mv {SBIN}pop3d-tls {SBIN}moved")), "warning",
         "tls: no service has TLS, and pop3d-tls is not installed: .*; install pop3d-tls and enable"),
    "the greeter is somebody's":
        (sh("setpriv --reuid 4322 --regid 4322 --clear-groups sleep 20 >/dev/null 2>&1 &"), "warning",
         "greeter: uid 4322 .* runs sleep as well: .*make a user of its own"),
    "the password file is missing":
        (sh(f"rm {PASSWD}"), "wrong",
         f"password file: {PASSWD} cannot be read .*: nobody can log in; make it with install"),
    "everybody can read the password file":
        (sh(f"chmod 644 {PASSWD}"), "wrong",
         f"password file: {PASSWD} has mode 0644: every user .* chmod 600 {PASSWD}"),
    "a group can write the password file":
        (sh(f"chmod 660 {PASSWD}"), "wrong",
         f"password file: {PASSWD} has mode 0660: others .* can write it, .* chmod 600"),
    "the password file is a user's":
        (sh(f"chown {UID} {PASSWD}"), "wrong",
         f"password file: {PASSWD} belongs to uid {UID}, so nobody can log in: chown root"),
    "a login twice":
        (passwd(ENTRY, f"fozzie:{GOOD}:1:1:/", ENTRY), "warning",
         f"password file: {PASSWD} has login kermit in line 1 and again in line 3: .*remove"),
    "a line without a home":
        (passwd(ENTRY, f"fozzie:{GOOD}:1"), "wrong",
         f"password file: {PASSWD}, line 2, is ignored: .*; mend or remove it"),
    "a hash that is too weak":
        (passwd(ENTRY, "fozzie:$1$salt$aaaaaaaaaaaaaaaaaaaaaa:1:1:/"), "wrong",
         r"password file: .*, line 2, login fozzie: the hash is MD5 \(\$1\$\), which is not accepted"),
    "a password in clear text":
        (passwd(ENTRY, "fozzie:wocka:1:1:/"), "wrong",
         "password file: .*, login fozzie: the hash is none .a password in clear text"),
    "a password in clear text, as Dovecot may have it":
        (passwd(ENTRY, "fozzie:{PLAIN}wocka:1:1:/"), "wrong",
         "password file: .*, line 2, is ignored: the password is in clear text, .*; mend or"),
    "a weak hash with a name before it":
        (passwd(ENTRY, "fozzie:{CRYPT}$1$salt$aaaaaaaaaaaaaaaaaaaaaa:1:1:/"), "wrong",
         r"password file: .*, line 2, login fozzie: the hash is MD5 \(\$1\$\), which is not accepted"),
    "a hash with few rounds":
        (passwd(ENTRY, "fozzie:$2b$04$" + "a" * 53 + ":1:1:/"), "warning",
         "password file: .*, line 2, login fozzie: the hash takes few rounds"),
    "a user with the uid of the greeter":
        (passwd(ENTRY, f"fozzie:{GOOD}:65534:1:/"), "wrong",
         "password file: .*, login fozzie has the uid 65534 of the process .*give one of the two"),
    "a home that is missing, of another user":
        (passwd(ENTRY, f"fozzie:{GOOD}:1:1:/nowhere"), "warning",
         "password file: .*, login fozzie: the home /nowhere is not there: make it, or correct"),
    "the login is unknown":
        (passwd(f"fozzie:{GOOD}:1:1:/"), "wrong",
         f"login: kermit is not in {PASSWD}, .*: add the line of pop3d-checkpw --hash kermit"),
    "the login is locked":
        (passwd(f"kermit:!{GOOD}:{UID}:{UID}:{HOME}"), "wrong",
         f"login: kermit is locked in {PASSWD}, line 1: .*remove that"),
    "the home is missing":
        (sh(f"rm -r {HOME}"), "wrong",
         f"home: {HOME} is not there: install -d -m 700 -o {UID} -g {UID} {HOME}"),
    "the user cannot enter the directory above":
        (sh("chmod 700 /var/vmail"), "wrong",
         f"home: kermit cannot enter /var/vmail .*: chmod or chown it so that uid {UID} can"),
    "everybody can write in the home":
        (sh(f"chmod 757 {HOME}"), "wrong",
         f"home: {HOME} has mode 0757: every user can replace what is in it; chmod o-w"),
    "the Maildir is missing":
        (sh(f"rm -r {MAILDIR}"), "wrong",
         f"Maildir: {MAILDIR} is not there: install -d .*--create-maildir"),
    "the Maildir is root's":
        (sh(f"chown -R root: {MAILDIR}"), "wrong",
         f"Maildir: {MAILDIR}, of uid 0, mode 0700: uid {UID} cannot .*; chown {UID} {MAILDIR}"),
    "cur is missing":
        (sh(f"rm -r {MAILDIR}/cur"), "wrong",
         f"Maildir: {MAILDIR}/cur is not there: no session can begin; install -d"),
    "tmp is missing":
        (sh(f"rm -r {MAILDIR}/tmp"), "warning",
         f"Maildir: {MAILDIR}/tmp is not there: mail cannot be delivered; install -d"),
    "new is a link":
        (sh(f"mv {MAILDIR}/new {HOME}/n; ln -s ../n {MAILDIR}/new"), "warning",
         f"Maildir: {MAILDIR}/new is a symbolic link: .*use the place itself"),
    "a link that leads nowhere":
        (sh(f"rm -r {MAILDIR}/new; ln -s nowhere {MAILDIR}/new"), "wrong",
         f"Maildir: {MAILDIR}/new cannot be used .the link leads nowhere.: make it a directory"),
    "everybody can write in new":
        (sh(f"chmod 777 {MAILDIR}/new"), "wrong",
         f"Maildir: {MAILDIR}/new has mode 0777: every user can add and remove mail; chmod 700"),
    "everybody can read the mail":
        (sh(f"chmod 755 {HOME} {MAILDIR}"), "warning",
         f"Maildir: {MAILDIR} has mode 0755, .*other users can read the mail; chmod 700"),
    "a message of another user":
        (sh(f"touch {MAILDIR}/new/3.root; chmod 600 {MAILDIR}/new/3.root"), "wrong",
         f"Maildir: {MAILDIR}/new has files that uid {UID} cannot read .1, the first is 3.root.: .*chown"),
    "a directory among the messages":
        (sh(f"mkdir {MAILDIR}/cur/sub"), "warning",
         f"Maildir: {MAILDIR}/cur has entries that are no regular files .1, the first is sub.: .*remove"),
    "a message with a dot in front":
        (sh(f"touch {MAILDIR}/new/.3.x"), "warning",
         f"Maildir: {MAILDIR}/new has files whose names begin with a dot .1.: .*rename"),
    "a message beside new and cur":
        (sh(f"touch {MAILDIR}/1700000003.c.test"), "warning",
         f"Maildir: {MAILDIR} itself has files .* .1, the first is 1700000003.c.test.: .*move them"),
    "an index of root":
        (sh(f"mkdir {MAILDIR}/pop3d"), "warning",
         f"index: {MAILDIR}/pop3d belongs to uid 0, so it is not used: remove it"),
    "an index that others can write":
        (sh(f"mkdir -m 770 {MAILDIR}/pop3d; chown {UID} {MAILDIR}/pop3d"), "warning",
         f"index: {MAILDIR}/pop3d has mode 0770: others can write what .*; chmod 700"),
    "a file in place of the index's directory":
        (sh(f"touch {MAILDIR}/pop3d"), "warning",
         f"index: {MAILDIR}/pop3d is no directory, so there is no index: remove it"),
    "a damaged quota file":
        (sh(f"printf '1000000S\\n18 1\\nrubbish\\n' >{MAILDIR}/maildirsize; "
            f"chown {UID} {MAILDIR}/maildirsize"), "warning",
         f"quota: {MAILDIR}/maildirsize, line 3, is damaged: remove the file"),
    "a quota file that cannot be written":
        (sh(f"printf '1000000S\\n18 1\\n' >{MAILDIR}/maildirsize"), "warning",
         f"quota: {MAILDIR}/maildirsize cannot be read and written by this user, .*: remove it"),
    "unique ids of another server that cannot be read":
        (sh(f"echo rubbish >{MAILDIR}/pop3d-uids; chown {UID} {MAILDIR}/pop3d-uids"), "wrong",
         f"Maildir: {MAILDIR}/pop3d-uids, the unique ids .*: nobody can log in; restore it"),
    "a folder for deleted mail that is root's":
        (both(service(options="--delete-to Trash"), sh(f"mkdir -m 700 {MAILDIR}/.Trash")), "wrong",
         f"folder: {MAILDIR}/.Trash, the folder of --delete-to, is of uid 0, .*: no message is deleted; chown"),
    "a checker that does not end":
        (both(program("slow", "#!/bin/sh\nexec sleep 60\n"),
              service(checker=SBIN + "slow", options="--login-timeout 1")), "wrong",
         "checker: pop3d ends before it answers a login: "),
    "a read-only disk":
        (sh(f"mount --bind {MAILDIR} {MAILDIR}; mount -o remount,ro,bind {MAILDIR}"), "wrong",
         f"disk: {MAILDIR} is on a file system that is read-only here: .*mount it for writing"),
    "the certificate is missing":
        (sh(f"rm {PEM}"), "wrong",
         f"certificate: {PEM} cannot be read .*: no client gets TLS; make the file, or mend"),
    "the certificate has expired":
        (lambda host: host.dated_certificate(-90, -1), "wrong",
         f"certificate: {PEM} is expired: renew it"),
    "the certificate is not valid yet":
        (lambda host: host.dated_certificate(1, 90), "wrong",
         f"certificate: {PEM} is not valid yet: set the clock of this host"),
    "the certificate expires soon":
        (lambda host: host.dated_certificate(-80, 10), "warning",
         f"certificate: {PEM} expires in (9|10) days: renew it"),
    "the certificate is for another name":
        (lambda host: host.certificate(names="other.example"), "warning",
         f"certificate: {PEM} is not for the name .* .its names: other.example.: .*get one"),
    "the key is another one":
        (sh(f"cd /etc/pop3d; openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 "
            f">key 2>/dev/null; cat key crt >{PEM}"), "wrong",
         f"certificate: the key in {PEM} is not that of the certificate in {PEM}: put the two"),
    "the key is missing":
        (sh(f"cat /etc/pop3d/crt >{PEM}"), "wrong",
         f"certificate: {PEM} has no private key in PEM form, .*: put the key there"),
    "everybody can read the key":
        (sh(f"chmod 644 {PEM}"), "wrong",
         f"certificate: {PEM} has mode 0644: every user .* chmod 600 {PEM}, and replace the key"),
    "pop3d-tls is not installed":
        (sh(f"mv {SBIN}pop3d-tls {SBIN}moved"), "wrong",
         f"program: {SBIN}pop3d-tls, .* is not there .*: install it"),
    "the ticket keys are missing":
        (sh(f"rm {TICKETS}"), "warning",
         f"tickets: {TICKETS} cannot be read .*; pop3d-tls --make-ticket-keys {TICKETS}"),
    "the ticket keys are old":
        (sh(f"touch -d '20 days ago' {TICKETS}"), "warning",
         f"tickets: the newest key in {TICKETS} is 20 days old: .*pop3d-tickets.timer"),
    "others can read the ticket keys":
        (sh(f"chmod 644 {TICKETS}"), "wrong",
         f"tickets: {TICKETS} can be read or written by others, and is not used: make it anew"),
    "the ticket keys are something else":
        (sh(f"echo hello >{TICKETS}"), "wrong",
         f"tickets: {TICKETS} is no file of ticket keys: remove it, and make it anew"),
    "all services are disabled":
        (service(disable="yes"), "wrong",
         "service: /etc/xinetd.d/pop3 is there and not enabled, .*: systemctl enable .*disable = no"),
    "no service":
        (sh("rm /etc/xinetd.d/*"), "wrong",
         "service: neither systemd nor xinetd nor inetd starts pop3d: install a service"),
    "two superservers for one port":
        (sh(f"echo 'pop3 stream tcp nowait root {SBIN}pop3d pop3d -- {CHECKER}' >/etc/inetd.conf"),
         "wrong", "port: port 110 is to be served by xinetd .* and by inetd .*: disable one"),
    "the clock is wrong":
        (sh(f"touch -d '3 years' {SBIN}pop3d-admin"), "wrong",
         "clock: the time is .*, before pop3d was installed: set the clock"),
}


def mend(host):
    """What set_up does not undo."""
    host.sh(f"""
    umount {MAILDIR} 2>/dev/null || :
    [ ! -e {SBIN}moved ] || mv {SBIN}moved {SBIN}pop3d-tls
    [ ! -e {SBIN}moved-host ] || mv {SBIN}moved-host {SBIN}pop3d-checkpw-host
    touch -d '1 hour ago' {SBIN}pop3d-admin
    pkill -x sleep || :""")


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_named_with_what_to_do(good, mistake):
    make, level, pattern = MISTAKES[mistake]
    if "uid 4322" in pattern:
        service(options="--greeter-user 4322")(good)
    try:
        make(good)
        status, lines, error = good.check("kermit")
    finally:
        mend(good)
    assert wanted(level, pattern, lines), "\n".join(lines) + error
    assert status == (1 if level == "warning" else 2), lines


def test_status_is_that_of_the_worst_line(good):
    good.sh(f"chmod 644 {PEM}; rm {TICKETS}")
    status, lines, _ = good.check()
    assert status == 2 and wanted("warning", "tickets", lines) and wanted("wrong", "cert", lines)


def test_port_without_a_listener(good):
    good.stop_servers()
    status, lines, _ = good.check()
    for port, name in ((110, "pop3"), (995, "pop3s")):
        assert wanted("wrong", f"port: nobody listens at port {port}, though xinetd "
                      f"./etc/xinetd.d/{name}. should: service xinetd restart", lines), lines
    assert status == 2


def test_port_that_another_program_holds(good):
    good.stop_servers()
    good.listen(110, "dovecot")
    status, lines, _ = good.check()
    assert wanted("wrong", "port: port 110 belongs to dovecot, but xinetd ./etc/xinetd.d/pop3. "
                  "should serve it: stop and disable dovecot, then start xinetd", lines), lines
    assert status == 2
    good.stop_servers()


def install_units(host):
    """The shipped units, enabled by their target, and the files that they read."""
    host.sh("""rm /etc/xinetd.d/*
    cd /usr/local/share/doc/pop3d/systemd
    cp pop3d.socket pop3d@.service pop3d.target pop3s.socket pop3s@.service /etc/systemd/system
    mkdir /etc/systemd/system/pop3d@.service.d /etc/systemd/system/multi-user.target.wants
    cp pop3d-stls.conf /etc/systemd/system/pop3d@.service.d/stls.conf
    ln -s ../pop3d.target /etc/systemd/system/multi-user.target.wants/pop3d.target
    mkdir -p /var/lib/pop3d
    rm -f /etc/default/pop3d""")
    host.machine.write("/etc/default/pop3d",
                       f'# a comment\nPOP3D_OPTIONS="--lock"\nPOP3D_CHECKER="{CHECKER}"\n')
    host.machine.write("/var/lib/pop3d/users", 'POP3D_GREETER="--greeter-user 4444:4444"\n')


@pytest.fixture
def units(good):
    good.stop_servers()
    install_units(good)
    good.listen(110, "systemd")
    good.listen(995, "systemd")
    yield good
    good.stop_servers()
    good.sh("rm -f /etc/default/pop3d /var/lib/pop3d/users")


def test_units_and_their_variables_are_read(units):
    status, lines, error = units.check("kermit")
    assert [line for line in lines if not line.startswith("ok ")] == [], error
    assert status == 0
    assert wanted("ok", "greeter: uid 4444", lines)
    assert wanted("ok", f"password file: {PASSWD}", lines)
    assert wanted("ok", "port: port 110: systemd, as in /etc/systemd/system/pop3d@.service", lines)
    assert wanted("ok", f"certificate: {PEM} is valid", lines), "the drop-in has TLS"


def test_drop_in_of_the_administrator_counts(units):
    units.machine.write("/etc/systemd/system/pop3s@.service.d/mine.conf",
                        "[Service]\nEnvironmentFile=\nEnvironment=POP3D_CHECKER=/nowhere/checker\n")
    _, lines, _ = units.check()
    assert wanted("wrong", "program: /nowhere/checker, which /etc/systemd/system/pop3s@.service",
                  lines), lines


def test_masked_unit_is_no_service(units):
    units.sh("cd /etc/systemd/system; ln -sf /dev/null pop3s.socket")
    units.stop_servers()
    units.listen(110, "systemd")
    _, lines, _ = units.check()
    assert not wanted("wrong", "port", lines) and not wanted("ok", "port: port 995", lines), lines


def test_units_that_are_not_enabled(units):
    units.sh("rm /etc/systemd/system/multi-user.target.wants/pop3d.target")
    status, lines, _ = units.check()
    assert wanted("wrong", "service: /etc/systemd/system/pop3[ds]@.service is there and not enabled",
                  lines), lines
    assert status == 2


def test_defaults_that_superservers_cannot_read(units):
    units.machine.write("/etc/default/pop3d", f'POP3D_CHECKER="{CHECKER}"\nPOP3D_OPTIONS = --lock\n')
    status, lines, _ = units.check()
    assert wanted("wrong", 'service: /etc/default/pop3d, line 2, is not NAME="words": mend it',
                  lines), lines
    assert status == 2


def test_two_superservers_of_the_shipped_files(units):
    units.service()
    _, lines, _ = units.check()
    assert wanted("wrong", "port: port 110 is to be served by systemd .* and by xinetd .*: disable",
                  lines), lines


def test_command_line_of_another_superserver(good):
    tcpserver = ["/usr/bin/tcpserver", "-v", "0", "110"]
    command = [SBIN + "pop3d", "--lock", "--", *CHECKER.split()]
    for words in (["kermit", *tcpserver, *command], ["kermit", *command],
                  ["kermit", "--allow-cleartext", "--", *CHECKER.split()]):
        status, lines, error = good.check(*words)
        assert wanted("ok", "checker: it refuses a login that does not exist", lines), lines
        assert wanted("ok", "Maildir: .* messages: 2,", lines), lines
        assert status == (0 if "--allow-cleartext" in words else 1), error
    _, lines, _ = good.check(SBIN + "pop3d-tls", "--cert", "/nowhere", "--", *command)
    assert wanted("wrong", "certificate: /nowhere cannot be read", lines), lines
    assert not any(" login:" in line for line in lines)


def test_inetd_conf_is_read(good):
    good.sh(f"""rm /etc/xinetd.d/*
    echo '#pop3 stream tcp nowait root /nowhere/pop3d pop3d -- /bin/false' >/etc/inetd.conf
    echo 'pop3 stream tcp nowait.1000 root {SBIN}pop3d pop3d --lock -- /nowhere/checker' \
        >>/etc/inetd.conf""")
    _, lines, _ = good.check()
    assert wanted("wrong", "program: /nowhere/checker, which /etc/inetd.conf names", lines), lines
    assert wanted("wrong", "port: port 110 belongs to xinetd, but inetd ./etc/inetd.conf. should",
                  lines), lines


def test_script_of_installed_xinetd_files_is_followed(good):
    good.machine.write("/etc/default/pop3d", f'POP3D_CHECKER="{SBIN}other"\n')
    good.sh("mkdir -p /usr/local/libexec/pop3d; "
            "cp /usr/local/share/doc/pop3d/contrib/serve /usr/local/libexec/pop3d/")
    for name, port in (("pop3", 110), ("pop3s", 995)):
        good.machine.write(f"/etc/xinetd.d/{name}", SERVICE.format(
            name=name, port=port, server="/usr/local/libexec/pop3d/serve", arguments=name,
            disable="no", user="root"))
    _, lines, _ = good.check()
    good.sh("rm /etc/default/pop3d")
    for name in ("pop3", "pop3s"):
        assert wanted("wrong", f"program: {SBIN}other, which /etc/xinetd.d/{name} names", lines), lines


def test_account_of_the_host(good):
    good.sh(f"""cp /etc/passwd /etc/passwd.kept
    echo 'gonzo:x:{UID}:{UID}::{HOME}:/bin/sh' >>/etc/passwd""")
    system = [SBIN + "pop3d", "--allow-cleartext", "--", SBIN + "pop3d-checkpw", "--system"]
    status, lines, _ = good.check("gonzo", *system)
    assert (status, len(wanted("ok", "Maildir: .* messages: 2,", lines))) == (0, 1), lines
    status, lines, _ = good.check("nobody-there", *system)
    assert wanted("wrong", "login: nobody-there is no account of this host: useradd", lines), lines
    status, lines, _ = good.check("root", *system)
    assert wanted("wrong", "login: root has uid 0, for which there are no sessions", lines), lines
    good.sh("mv /etc/passwd.kept /etc/passwd")


def test_logins_of_which_homes_are_made(good):
    """Patterns in the file, a default domain, folded logins, and --pam, as pop3d-checkpw has them."""
    good.sh(f"mkdir -p /var/vmail/example.org; mv {HOME} /var/vmail/example.org/kermit")
    pattern = "/var/vmail/%d/%n"
    good.passwd([f"kermit@example.org:{GOOD}:{UID}:{UID}:{pattern}"])
    maildir = "/var/vmail/example.org/kermit/Maildir"
    file = [*CHECKER.split(), "--default-domain", "example.org", "--fold-login"]
    pam = [SBIN + "pop3d-checkpw", "--pam", "--as", f"{UID}:{UID}", "--home", pattern]
    for login, checker in (("KerMit", file), ("kermit@example.org", pam)):
        status, lines, error = good.check(login, "--allow-cleartext", "--", *checker)
        assert wanted("ok", f"Maildir: {maildir}, messages: 2", lines), (lines, error)
        assert status == 0, lines
    status, lines, _ = good.check("kermit", "--allow-cleartext", "--", *pam)
    assert wanted("wrong", "login: kermit cannot be put into /var/vmail/%d/%n .*--default-domain",
                  lines), lines
    good.sh("rm -r /var/vmail/example.org")


USERDB = """import os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind("/run/userdb")
server.listen()
print("ready", flush=True)
while True:
    peer, _ = server.accept()
    with peer, peer.makefile("rw") as stream:
        stream.write("VERSION\\t1\\t1\\nSPID\\t1\\n")
        stream.flush()
        stream.readline()
        _, number, login, *_ = stream.readline().rstrip("\\n").split("\\t")
        known = f"USER\\t{number}\\t{login}\\t" + sys.argv[1].replace(" ", "\\t")
        stream.write((known if login == "kermit" else f"NOTFOUND\\t{number}") + "\\n")
        stream.flush()
"""


def test_login_that_dovecot_knows(good):
    """The check asks its userdb, which needs no password; here is a double of it."""
    checker = [SBIN + "pop3d-checkpw", "--dovecot", "--userdb-socket", "/run/userdb"]
    words = ["--allow-cleartext", "--", *checker]
    _, lines, error = good.check("kermit", *words)
    assert wanted("wrong", "login: Dovecot does not say who kermit is.*doveadm user kermit", lines)
    assert "/run/userdb" in error
    for fields, pattern in ((f"uid={UID} gid={UID} home={HOME}", f"ok +Maildir: {MAILDIR}, messages: 2"),
                            (f"uid={UID} gid={UID}", "wrong +login: Dovecot does not say")):
        server = subprocess.Popen(good.machine.command("python3", "-c", USERDB, fields, directory="/"),
                                  stdout=subprocess.PIPE)
        assert server.stdout.readline() == b"ready\n"
        _, lines, error = good.check("kermit", *words)
        assert any(re.match(pattern, line) for line in lines), (lines, error)
        _, lines, _ = good.check("fozzie", *words)
        assert wanted("wrong", "login: Dovecot's userdb does not know fozzie: add it there", lines)
        server.kill()
        server.wait()
        server.stdout.close()
        good.sh("pkill -x python3 || :; rm /run/userdb")


def test_other_checker_knows_accounts_that_the_host_does_not(good):
    good.machine.write(SBIN + "plain", "#!/bin/sh\nexit 1\n", 0o755)
    status, lines, _ = good.check("kermit", "--allow-cleartext", "--", SBIN + "plain")
    assert status == 1
    assert wanted("warning", f"login: kermit is no account .* {SBIN}plain knows where .*--show", lines)


def test_a_maildir_that_the_first_login_makes(good):
    good.sh(f"rm -r {MAILDIR}")
    status, lines, _ = good.check("kermit", "--allow-cleartext", "--create-maildir", "--",
                                  *CHECKER.split())
    assert status == 0
    assert wanted("ok", f"Maildir: {MAILDIR} is not there: the first login makes it", lines), lines


def test_nothing_is_changed(good):
    before = good.machine.run("find", HOME, "/etc/pop3d", "-printf", "%p %m %u %T@ %C@ %s\n").stdout
    good.check("kermit")
    after = good.machine.run("find", HOME, "/etc/pop3d", "-printf", "%p %m %u %T@ %C@ %s\n").stdout
    assert before == after


def test_names_of_files_cannot_write_to_the_terminal(good):
    good.sh(rf"""mkdir "{MAILDIR}/cur/$(printf 'a\033[2Jb\302\233c\nok d')" """)
    _, lines, _ = good.check("kermit")
    assert wanted("warning", r"Maildir: .*the first is a\?\[2Jb\?\?c\?ok d.: ", lines), lines
    assert "\033" not in "".join(lines)


def test_user_without_privileges_is_told_to_be_root(good):
    done = good.machine.run("setpriv", "--reuid", "4321", "--regid", "4321", "--clear-groups",
                            SBIN + "pop3d", "--check", check=False, directory="/")
    assert b"only root can look at everything: run it as root" in done.stdout


ERRNO, ALLOW = 0x00050000, 0x7fff0000
LANDLOCK_CREATE_RULESET, PRCTL, PR_SET_SECCOMP = 444, 157, 22


def filtered(call, argument, error):
    """A preexec_fn: the system call (only with this first argument) fails with this error."""
    load = [(0x20, 0, 0, 0), (0x15, 0, 3 if argument is not None else 1, call)]
    if argument is not None:
        load += [(0x20, 0, 0, 16), (0x15, 0, 1, argument)]
    program = b"".join(struct.pack("HBBI", *line)
                       for line in [*load, (0x06, 0, 0, ERRNO | error), (0x06, 0, 0, ALLOW)])
    buffer = ctypes.create_string_buffer(program)
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))

    def install():
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(38, 1, 0, 0, 0) != 0 or libc.prctl(PR_SET_SECCOMP, 2, header, 0, 0) != 0:
            os._exit(99)
    install.keep = buffer
    return install


@pytest.mark.skipif(platform.machine() != "x86_64", reason="has system calls by number")
@pytest.mark.parametrize("call,argument,error,pattern", [
    (LANDLOCK_CREATE_RULESET, None, errno.ENOSYS,
     "kernel: there is no Landlock .Function not implemented.: .*Linux 5.19 or later"),
    (LANDLOCK_CREATE_RULESET, None, errno.EOPNOTSUPP,
     "kernel: there is no Landlock .Operation not supported.: .*put landlock into the kernel's lsm="),
    (LANDLOCK_CREATE_RULESET, None, errno.EPERM,
     "kernel: Landlock is refused here .*: .*where this container is started"),
    (PRCTL, PR_SET_SECCOMP, errno.EINVAL,
     "kernel: there are no seccomp filters .*: .*use a kernel with CONFIG_SECCOMP_FILTER")])
def test_kernel_without_what_confines(lab, call, argument, error, pattern):
    done = subprocess.run([lab.pop3d, "--check"], env=lab.environment(), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False,
                          preexec_fn=filtered(call, argument, error))
    assert wanted("warning", pattern, done.stdout.splitlines()), done
