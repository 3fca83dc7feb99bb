"""The recipes for TLS in doc/SETUP, followed to the letter on a machine of their own."""
import os
import re
import shlex
import time

import pytest

from harness import SEEDS
from launch import TREE, InetutilsInetd, OpenbsdInetd, find_program, shipped
from machine import CLIENT, DOCUMENTS, SERVER, block, blocks
from machine import machine  # a fixture, pylint: disable=unused-import
from test_logs import as_syslog, regex
from test_superservers import permitted_calls
from tls_lab import as_openssl_3_0
from tls_lab import pki  # a fixture, pylint: disable=unused-import

SCAN = b"1 512\r\n2 508\r\n3 517\r\n4 470\r\n"
ORDER = ["854538001.M9P571.caliban", "854538436.M1P582.caliban"]
CREDENTIALS = ["-u", "kermit:bananas"]
BEFORE = "First: a certificate and ticket keys"
NAMES = "Several names, client certificates, other options"
UNITS = "/etc/systemd/system"
POP3, POP3S, PROXIED = 110, 995, 1110


@pytest.fixture
def mail(machine):
    """The machine with the mailbox, the certificate and the ticket keys that doc/SETUP makes."""
    make_mailbox, make_passwords, *_ = blocks("A mailbox by hand")
    machine.follow(make_mailbox, directory=TREE)
    machine.follow(make_passwords, b"bananas\n")
    machine.follow(block(BEFORE, "openssl req"))
    machine.follow(block(BEFORE, "pop3d-tls --make"))
    return machine


def curl(machine, url, *options, check=True):
    """curl outside the machine, without the settings of the user who runs this."""
    return machine.run("curl", "-q", "-sS", "-k", "--max-time", "20", "--interface", CLIENT,
                       *CREDENTIALS, *options, url, check=check)


def s_client(machine, port, *options, lines=("QUIT",)):
    """The output of openssl s_client, which sends these lines."""
    text = "".join(line + "\r\n" for line in lines).encode()
    start = ["-starttls", "pop3"] if port == POP3 else []
    done = machine.run("openssl", "s_client", "-connect", f"{SERVER}:{port}", "-bind", CLIENT,
                       "-ign_eof", *start, *options, check=False, text=text)
    return as_openssl_3_0((done.stdout + done.stderr).decode("latin-1"))


def follows_its_own_tests(machine):
    """The two commands by which doc/SETUP tests a recipe."""
    secure, starttls = block("TLS", "curl").splitlines()
    assert "pop3s:" in secure and "--ssl-reqd" in starttls
    for command in (secure, starttls):
        assert machine.run("sh", "-c", command).stdout == SCAN


def serves(machine, seen=(CLIENT, CLIENT), tls=("yes", "yes"), resumes=True):
    """Mail is fetched from both ports. The log shows the client as given in seen."""
    for port, url, option in ((POP3S, "pop3s:", "-4"), (POP3, "pop3:", "--ssl-reqd")):
        ip, under_tls = (each[port == POP3] for each in (seen, tls))
        line = rf"\blogin ip={re.escape(ip)} port=\d+ user=kermit tls={under_tls}\b"
        before = len(re.findall(line, machine.log()))
        assert curl(machine, f"{url}//{SERVER}/", option).stdout == SCAN
        assert curl(machine, f"{url}//{SERVER}/2", option).stdout == message(2)
        got = s_client(machine, port, lines=("USER kermit", "PASS bananas", "STAT", "QUIT"))
        assert "+OK 4 2007" in got and "signing off" in got, got
        machine.logged(line, before + 3)
        if resumes:
            assert resumed(machine, port)
    follows_its_own_tests(machine)


def resumed(machine, port):
    """True if another process resumes a session."""
    s_client(machine, port, "-sess_out", "/var/tmp/session")
    got = s_client(machine, port, "-sess_in", "/var/tmp/session")
    return re.search(r"^Reused, ", got, re.MULTILINE) is not None


def refuses_clear_text(machine):
    done = curl(machine, f"pop3://{SERVER}/", check=False)
    assert done.returncode != 0 and SCAN not in done.stdout


def message(number):
    with open(os.path.join(SEEDS, ORDER[number - 1]), "rb") as file:
        return file.read().replace(b"\n", b"\r\n")


# -- xinetd


def start_xinetd(machine, *ports):
    find_program("xinetd", "xinetd")
    machine.start(set(ports), "xinetd", "-dontfork", "-pidfile", "/run/xinetd.pid")


def test_xinetd(mail):
    assert mail.follow(block("TLS under xinetd", "cp ")) == ["service xinetd reload"]
    start_xinetd(mail, POP3, POP3S)
    serves(mail)
    refuses_clear_text(mail)


def test_the_two_shipped_files_of_xinetd_differ_in_port_and_program_only():
    varies = r"^(# .*|#(STLS|DEFAULT).*|service .*|\tport.*|\tserver(_args)?\s.*)\n"
    ours, other = (re.sub(varies, "", shipped("xinetd.d", name), flags=re.MULTILINE)
                   for name in ("pop3", "pop3s"))
    assert ours == other


# -- systemd


def words_of_unit(machine, *paths):
    """The effective ExecStart= after all files are read, with the values of Environment=."""
    found, variables = [], {}
    for path in paths:
        for value in re.findall(r"^Environment=(.*)$", machine.read(path), re.MULTILINE):
            variables |= dict(pair.split("=", 1) for pair in shlex.split(value))
        for value in re.findall(r"^ExecStart=-?(.*)$", machine.read(path), re.MULTILINE):
            found = [*found, value.split()] if value else []
    assert len(found) == 1, found
    return [part for word in found[0]
            for part in (variables[word[1:]].split() if word.startswith("$") else [word])]


def activate(machine, socket, *service):
    """systemd-socket-activate instead of the units."""
    find_program("systemd-socket-activate", "systemd")
    unit = machine.read(os.path.join(UNITS, socket))
    assert re.findall(r"^Accept=(.*)$", unit, re.MULTILINE) == ["yes"]
    port = re.search(r"^ListenStream=(\d+)$", unit, re.MULTILINE)[1]
    words = words_of_unit(machine, *(os.path.join(UNITS, name) for name in service))
    machine.start({int(port)}, "systemd-socket-activate", "-l", port, "--inetd", "-a", *words)


def test_systemd(mail):
    section = "TLS under systemd"
    copies, stls, enable = blocks(section)
    mail.run("mkdir", "-p", UNITS)
    assert mail.follow(copies + stls) == []
    assert mail.follow(enable) == ["systemctl daemon-reload",
                                   "systemctl enable --now pop3d.socket pop3s.socket"]
    activate(mail, "pop3d.socket", "pop3d@.service", "pop3d@.service.d/stls.conf")
    activate(mail, "pop3s.socket", "pop3s@.service")
    serves(mail)
    refuses_clear_text(mail)


def test_systemd_analyze_verify_finds_nothing(mail):
    mail.run("mkdir", "-p", UNITS)
    mail.follow("".join(blocks("TLS under systemd")[:2]))
    mail.follow(block(BEFORE, "cp systemd/"))
    names = sorted(name for name in os.listdir(os.path.join(TREE, "systemd"))
                   if not name.endswith((".conf", ".target")))
    assert len(names) == 6
    for name in names:
        done = mail.run("systemd-analyze", "verify", "--man=no", f"{UNITS}/{name}", check=False)
        text = (done.stdout + done.stderr).decode().strip()
        if "Failed to" in text and "pop3" not in text:
            pytest.skip(f"systemd-analyze does not work here: {text}")
        assert (done.returncode, text) == (0, ""), name


def test_both_services_of_systemd_are_confined_alike():
    def settings(name):
        lines = shipped("systemd", name).splitlines()
        return [line for line in lines if line and line[0] not in "#["
                and not re.match("(Environment|ExecStart|Description|Documentation)=", line)]
    assert settings("pop3d@.service") == settings("pop3s@.service")
    for name in ("pop3d.socket", "pop3s.socket"):
        assert "MaxConnectionsPerSource=10" in settings(name)


def test_the_calls_and_capabilities_of_the_unit_are_enough(mail):
    """A whole session under strace, with the capabilities of the unit and no others."""
    strace, section = find_program("strace", "strace"), "pop3s@.service"
    unit = shipped("systemd", section)
    permitted = permitted_calls(unit)
    kept = re.search(r"^CapabilityBoundingSet=(.*)$", unit, re.MULTILINE)[1].split()
    kept = ",".join(["-all", *("+" + name.removeprefix("CAP_").lower() for name in kept)])
    mail.run("cp", f"{DOCUMENTS}/systemd/{section}", "/var/tmp/unit")
    words = words_of_unit(mail, "/var/tmp/unit")
    less = ["setpriv", "--no-new-privs", "--bounding-set", kept, "--inh-caps", "-all", "--"]
    for wrapper, port in ((less, POP3S), ([strace, "-f", "-qq", "-s", "0", "-e", "signal=none",
                                           "-o", "/var/tmp/trace"], POP3S + 1000)):
        if mail.run(*wrapper, "true", check=False).returncode != 0:
            pytest.skip(f"{wrapper[0]} does not work here")
        mail.start({port}, "tcpserver", "-RHl0", "0", str(port), *wrapper, *words)
        assert curl(mail, f"pop3s://{SERVER}:{port}/").stdout == SCAN
    text = mail.read("/var/tmp/trace")
    called = set(re.findall(r"^\d+ +(\w+)\(", text, re.MULTILINE))
    assert {"chroot", "setresuid", "ppoll"} <= called, called
    assert called <= permitted, sorted(called - permitted)
    families = set(re.findall(r"^\d+ +socket(?:pair)?\((\w+)", text, re.MULTILINE))
    assert families <= {"AF_UNIX", "AF_LOCAL"}, families


# -- tcpserver, inetd


def commands(text):
    """The command lines of a block. A line that ends in a backslash is joined with the next."""
    return [line.split() for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def test_tcpserver(mail):
    find_program("tcpserver", "ucspi-tcp")
    first, second = commands(block("TLS under tcpserver and inetd", "tcpserver"))
    mail.start({POP3S}, *first)
    mail.start({POP3}, *second)
    serves(mail)
    refuses_clear_text(mail)


@pytest.mark.parametrize("kind", [OpenbsdInetd, InetutilsInetd], ids=lambda kind: kind.name)
def test_inetd(mail, kind):
    program = kind.find()
    mail.write("/etc/inetd.conf", block("TLS under tcpserver and inetd", "pop3s  stream"))
    mail.start({POP3, POP3S}, program, "-d", "/etc/inetd.conf")
    serves(mail)


# -- tickets, renewed certificates, names, certificates of clients


def under_tcpserver(machine, port=POP3S, instead=None, by=()):
    """The first recipe of tcpserver, with some words replaced."""
    words = commands(block("TLS under tcpserver and inetd", "tcpserver"))[0]
    if instead is not None:
        at = words.index(instead[0])
        assert words[at:at + len(instead)] == list(instead)
        words[at:at + len(instead)] = by
    words[words.index(str(POP3S))] = str(port)
    machine.start({port}, *words)


def test_ticket_keys_are_rotated_by_cron_and_by_systemd(mail):
    mail.run("mkdir", "-p", "/etc/cron.d")  # cron is installed
    mail.follow(block(BEFORE, "echo"))
    *_, user, program, option, path = mail.read("/etc/cron.d/pop3d-tickets").split()
    assert user == "root" and re.match(r"\d+ \d+ \* \* \* root ",
                                       mail.read("/etc/cron.d/pop3d-tickets"))
    mail.run("mkdir", "-p", UNITS)
    assert mail.follow(block(BEFORE, "cp systemd/")) == [
        "systemctl enable --now pop3d-tickets.timer"]
    timed = words_of_unit(mail, f"{UNITS}/pop3d-tickets.service")
    under_tcpserver(mail)
    s_client(mail, POP3S, "-sess_out", "/var/tmp/session")
    keys = [mail.read("/etc/pop3d/tickets").split()]
    for command in ([program, option, path], timed):
        mail.run(*command)
        keys.append(mail.read("/etc/pop3d/tickets").split())
    assert keys[2][1:] == keys[1] and keys[1][1:] == keys[0] and len(keys[0]) == 1
    assert os.stat(mail.at("etc/pop3d/tickets")).st_mode & 0o777 == 0o600
    assert "Reused, " in s_client(mail, POP3S, "-sess_in", "/var/tmp/session")
    mail.run(*timed)
    assert "Reused, " not in s_client(mail, POP3S, "-sess_in", "/var/tmp/session")


def test_a_renewed_certificate_is_used_by_the_next_connection(mail, pki):
    hook = "/etc/letsencrypt/renewal-hooks/deploy/pop3d"
    mail.write(hook, block("Renewed certificates", "#!/bin/sh"), 0o755)
    pki.have("renewed.example")
    for lineage in ("mail.example.org", "www.example.org"):
        for name, kind in (("privkey", "key"), ("fullchain", "crt")):
            mail.write(f"/etc/letsencrypt/live/{lineage}/{name}.pem",
                       open(pki.at(f"renewed.example.{kind}"), encoding="ascii").read())
    under_tcpserver(mail)
    # certbot runs the hook for every lineage that it renews
    mail.run("env", "RENEWED_LINEAGE=/etc/letsencrypt/live/www.example.org", hook)
    assert "subject=CN = mail.example.org" in s_client(mail, POP3S)
    assert block("Renewed certificates", "RENEWED_LINEAGE") == (
        f"RENEWED_LINEAGE=/etc/letsencrypt/live/mail.example.org {hook}\n")
    mail.run("env", "RENEWED_LINEAGE=/etc/letsencrypt/live/mail.example.org", hook)
    assert "subject=CN = renewed.example" in s_client(mail, POP3S)
    st = os.stat(mail.at("etc/pop3d/tls.pem"))
    assert (st.st_uid, st.st_mode & 0o777) == (0, 0o600)


def test_a_directory_of_names(mail, pki):
    mail.follow(block(NAMES, "mkdir"))
    mail.write("/etc/pop3d/certs/other.example.pem", pki.pem("other.example"), 0o600)
    under_tcpserver(mail, POP3S, ["--cert", "/etc/pop3d/tls.pem"], re.search(
        r"replace `--cert /etc/pop3d/tls.pem` by `(--cert-dir \S+)`",
        shipped("doc", "SETUP"))[1].split())
    for asked, shown in (("other.example", "other.example"), ("mail.example.org", None),
                         ("unknown.example", None)):
        got = s_client(mail, POP3S, "-servername", asked)
        assert f"subject=CN = {shown or 'mail.example.org'}" in got, got


def test_clients_show_certificates(mail, pki):
    words = commands(block(NAMES, "pop3d-tls"))[0]
    assert words[-1] == "CHECKER"
    mail.write("/var/tmp/checker", "#!/bin/sh\necho \"subject $SSL_PEER_CERT_SUBJECT\" >&2\n"
               "exit 1\n", 0o755)
    mail.write("/etc/pop3d/clients.pem", open(pki.at("ca.crt"), encoding="ascii").read())
    pki.have("joe")
    for kind in ("key", "crt"):
        mail.write(f"/var/tmp/joe.{kind}", open(pki.at(f"joe.{kind}"), encoding="ascii").read())
    mail.start({POP3S}, "tcpserver", "-RHl0", "0", str(POP3S), *words[:-1], "/var/tmp/checker")
    got = s_client(mail, POP3S, "-cert", "/var/tmp/joe.crt", "-key", "/var/tmp/joe.key",
                   lines=("USER joe", "PASS x", "QUIT"))
    assert "-ERR [AUTH]" in got and "signing off" in got, got
    mail.logged("subject /CN=joe")
    got = s_client(mail, POP3S)
    assert "+OK" not in got, got
    mail.logged('tls-failed ip=192.0.2.7 reason="no-client-certificate"')


# -- proxies


def test_haproxy(mail):
    section = "Behind HAProxy"
    haproxy = find_program("haproxy", "haproxy")
    assert mail.follow(block(section, "cp ")) == ["service xinetd reload"]
    start_xinetd(mail, PROXIED)
    assert block(section, "service") == "service haproxy reload\n"
    with open(mail.at("/etc/haproxy/haproxy.cfg"), "a", encoding="utf-8") as file:
        file.write(block(section, "frontend"))
    mail.start({POP3, POP3S}, haproxy, "-db", "-f", "/etc/haproxy/haproxy.cfg")
    serves(mail, resumes=False)  # Debian's default switches its own tickets off.
    assert resumed(mail, POP3)
    refuses_clear_text(mail)
    # A connection without a header, or from another address, is refused.
    assert mail.run("curl", "-q", "-sS", f"telnet://127.0.0.1:{PROXIED}", text=b"USER kermit\r\n",
                    check=False).stdout == b""
    mail.logged(r"end ip=127\.0\.0\.1 stage=login reason=no-proxy-header")
    assert mail.run("curl", "-q", "-sS", f"pop3://{SERVER}:{PROXIED}/", check=False
                    ).returncode == 7  # No connection.


def test_a_balancer_that_passes_tls_on(mail):
    """HAProxy does no TLS, and pop3d-tls reads its header."""
    haproxy = find_program("haproxy", "haproxy")
    words = commands(block("Behind HAProxy", "tcpserver"))[0]
    address, port = words[words.index("100") + 1:][:2]
    assert address == SERVER
    mail.start({int(port)}, *words)
    mail.write("/etc/haproxy/balancer.cfg", "\n".join([
        "defaults", "mode tcp", "timeout connect 5s", "timeout client 60s", "timeout server 60s",
        "listen pop3s", f"bind :{POP3S}", f"server mail1 {SERVER}:{port} send-proxy-v2", ""]))
    mail.start({POP3S}, haproxy, "-db", "-f", "/etc/haproxy/balancer.cfg")
    assert curl(mail, f"pop3s://{SERVER}/").stdout == SCAN
    mail.logged(rf"\blogin ip={re.escape(CLIENT)} port=\d+ user=kermit tls=yes\b")
    assert resumed(mail, POP3S)


def test_health_checks_of_haproxy_are_served(mail):
    haproxy = find_program("haproxy", "haproxy")
    mail.follow(block("Behind HAProxy", "cp "))
    start_xinetd(mail, PROXIED)
    server = f"    server pop3d 127.0.0.1:{PROXIED} send-proxy-v2-ssl"
    recipe = block("Behind HAProxy", "frontend")
    assert recipe.count(server + "\n") == 1
    checked = recipe.replace(server + "\n", f"    option tcp-check\n    tcp-check expect rstring "
                                            f"^\\+OK\n{server} check inter 500\n")
    with open(mail.at("/etc/haproxy/haproxy.cfg"), "a", encoding="utf-8") as file:
        file.write(checked)
    mail.start({POP3, POP3S}, haproxy, "-db", "-f", "/etc/haproxy/haproxy.cfg")
    time.sleep(2)  # four checks
    assert curl(mail, f"pop3s://{SERVER}/").stdout == SCAN
    assert "DOWN" not in mail.log() and " end ip=" not in mail.log(), mail.report()


def test_stunnel(mail):
    section = "Behind stunnel"
    stunnel = find_program("stunnel4", "stunnel4")
    configuration = block(section, "foreground")
    path = re.search(r"Write (/etc/stunnel/\S+\.conf):$",
                     shipped("doc", "SETUP"), re.MULTILINE)[1]
    mail.write(path, configuration)
    behind = [commands(text)[0] for text in blocks(section) if text.startswith("tcpserver")]
    assert len(behind) == 2
    for words in behind:
        mail.start({int(words[words.index("127.0.0.1") + 1])}, *words)
    assert block(section, "systemctl") == "systemctl enable --now stunnel@pop3s.service\n"
    mail.start({POP3, POP3S}, stunnel, path)
    serves(mail, seen=(CLIENT, "127.0.0.1"), tls=("no", "no"), resumes=False)
    refuses_clear_text(mail)


# -- the log


def events_of_engine():
    """The names of the lines that pop3d-tls can write, except those of its keeper's program."""
    rooms = ("tls", "peer", "confine", "os", "lib")
    text = "".join(shipped(room, name) for room in rooms
                   for name in os.listdir(os.path.join(TREE, room)) if name.endswith(".c"))
    # Names in a table, and names at the beginning of a format.
    return set(re.findall(r'"(tls-[a-z-]+)"', text)) | set(re.findall(
        r'log_event\([^"]*"((?:tls|proxy)[a-z-]*) ', text))


def test_doc_log_lists_every_event_of_the_engine():
    assert {"tls", "tls-failed", "tls-truncated", "tls-broken"} <= events_of_engine()
    table = shipped("doc", "LOG").partition("## pop3d-tls\n")[2].partition("## pop3d-checkpw")[0]
    assert set(re.findall(r"^    ([a-z-]+) ", table, re.MULTILINE)) == events_of_engine()


def test_fail2ban_counts_no_event_of_the_engine(tmp_path):
    path = tmp_path / "log"
    shown = blocks("Examples", "LOG")
    lines = [line for text in shown for line in text.splitlines()
             if line.startswith("pop3d[") and "tls-" in line]
    assert len(lines) == 3
    lines += [f'pop3d[1]: {event} ip=192.0.2.7 reason="eof"' for event in events_of_engine()]
    path.write_text("".join(as_syslog(line) + "\n" for line in lines), encoding="ascii")
    for mode in ("normal", "aggressive"):
        assert regex(str(path), "-o", "ip", mode=mode) == []
