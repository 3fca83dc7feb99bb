"""The lines of doc/SETUP for further superservers, followed to the letter on a machine of their own."""
import ctypes
import os
import re
import socket
import struct
import threading

import pytest

from harness import TIMEOUT, retry_until
from launch import TREE, UNPACKED, find_program
from machine import CLIENT, SERVER, block, blocks
from machine import machine  # a fixture, pylint: disable=unused-import

SERVER6, CLIENT6 = "2001:db8::1", "2001:db8::7"
POP3, POP3S = 110, 995
HEADING = "Other superservers"
PROGRAM = "/usr/local/sbin/pop3d"
LARGE = b"Subject: large\n\n" + b"0123456789abcdef\n" * 310000  # 5.3 MB
LOGIN = b"USER kermit\r\nPASS bananas\r\n"
CLONE_NEWNET = 0x40000000

# Name: package, does it serve IPv6 clients. The name is the first word of its line.
SUPERSERVERS = {
    "tcpserver": ("ucspi-tcp-ipv6", True),
    "tcpsvd": ("ipsvd", False),
    "socat": ("socat", True),
    "ncat": ("ncat", True),
    "mini-inetd": ("tcputils", False),
    "faucet": ("netpipes", False),
    "busybox": ("busybox", True),
    "rlinetd": ("rlinetd", True),
}


@pytest.fixture
def mail(machine):
    """The machine with the mailbox of doc/SETUP, one large message in it, and addresses of IPv6."""
    make_mailbox, make_passwords, *_ = blocks("A mailbox by hand")
    machine.follow(make_mailbox, directory=TREE)
    machine.follow(make_passwords, b"bananas\n")
    path = machine.at("var/vmail/kermit/Maildir/new/954538436.M1P1.large")
    with open(path, "wb") as file:
        file.write(LARGE)
    machine.run("chown", "vmail:", "/var/vmail/kermit/Maildir/new/954538436.M1P1.large")
    for address in (SERVER6, CLIENT6):
        machine.run("ip", "address", "add", f"{address}/64", "dev", "lo", "nodad")
    return machine


def unpacked(program, package):
    """The path of a program that conflicts with an installed one, else its name."""
    for directory in ("usr/sbin", "usr/bin"):
        path = os.path.join(UNPACKED, package, directory, program)
        if os.path.exists(path):
            return path
    if program in ("tcpserver", "rlinetd"):
        pytest.skip(f"{package} is not unpacked (./bootstrap deps)")
    find_program(program, package)
    return program


def start(mail, name, program=PROGRAM):
    """Starts a superserver by its line, with another program in the place of pop3d."""
    words = block(HEADING, f"{name} ").replace("\\\n", " ").replace(PROGRAM, program).split()
    words[0] = unpacked(name, SUPERSERVERS[name][0])
    if name == "rlinetd":
        provide_modules(mail)
        mail.write("/etc/rlinetd.conf", block(HEADING, "service").replace(PROGRAM, program))
    return mail.start({POP3}, *words)


def provide_modules(mail):
    """rlinetd loads its parser from a directory that it was built for."""
    libraries = os.path.join(UNPACKED, "rlinetd", "usr", "lib")
    for architecture in os.listdir(libraries):
        done = mail.run("mount", "-t", "overlay", "overlay", "-o",
                        f"lowerdir={libraries}/{architecture}:/usr/lib/{architecture}",
                        f"/usr/lib/{architecture}", check=False)
        if done.returncode != 0:
            pytest.skip(f"no overlay for rlinetd's modules: {done.stderr.decode()}")


def stop(mail, server):
    """Ends a superserver and all that it started: nothing of it may still listen."""
    server.terminate()
    mail.run("sh", "-c", "for p in /proc/[0-9]*; do p=${p#/proc/}; "
             "[ $p -le 1 ] || [ $p = $$ ] || [ $(cat /proc/$p/comm) = cat ] || kill -9 $p; "
             "done; true", check=False)
    server.wait()
    assert retry_until(lambda: not {POP3, POP3S} & mail.listening())


def socket_in(machine, family):
    """A socket of the machine's network. Only the thread that makes it goes there."""
    made = []

    def enter():
        with open(f"/proc/{machine.init}/ns/net", "rb") as namespace:
            assert ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET) == 0
        made.append(socket.socket(family, socket.SOCK_STREAM))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    return made[0]


def connect(machine, source="127.0.0.1", target="127.0.0.1"):
    client = socket_in(machine, socket.AF_INET6 if ":" in source else socket.AF_INET)
    client.settimeout(TIMEOUT)
    client.bind((source, 0))
    client.connect((target, POP3))
    return client


def read_until(client, end):
    got = b""
    while not got.endswith(end) and (piece := client.recv(1 << 20)):
        got += piece
    return got


def to_the_end(client):
    got = b""
    while piece := client.recv(1 << 20):
        got += piece
    client.close()
    return got


def reset(client):
    """Closes a connection with RST in the place of FIN."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def sessions(machine):
    """How many processes of pop3d there are, without those that only wait to be reaped."""
    done = machine.run("sh", "-c", "readlink /proc/[0-9]*/exe | grep -c '/pop3d$'", check=False)
    return int(done.stdout)


def messages(machine):
    directory = machine.at("var/vmail/kermit/Maildir")
    return sorted(name for part in ("new", "cur") for name in os.listdir(f"{directory}/{part}"))


def log_in(machine):
    client = connect(machine)
    read_until(client, b"\r\n")
    client.sendall(b"USER kermit\r\n")
    read_until(client, b"\r\n")
    client.sendall(b"PASS bananas\r\n")
    assert read_until(client, b"\r\n").startswith(b"+OK 5 messages"), machine.report()
    return client


def fetches_a_large_message(machine):
    client = log_in(machine)
    client.sendall(b"RETR 5\r\n")
    got = read_until(client, b"\r\n.\r\n")
    assert got.split(b"\r\n", 1)[1] == LARGE.replace(b"\n", b"\r\n") + b".\r\n"
    client.sendall(b"QUIT\r\n")
    assert b"signing off" in to_the_end(client)


def check_replies(got):
    """The replies to LOGIN, STAT, RETR 5, NOOP, QUIT are whole."""
    head, _, rest = got.partition(b" octets\r\nSubject: large\r\n")
    assert head.count(b"\r\n") >= 3 and b"+OK 5 " in head, head
    assert rest.count(b"0123456789abcdef\r\n") == 310000
    assert re.search(rb"\r\n\.\r\n\+OK.*\r\n\+OK .* signing off .*\r\n$", rest[-200:]), rest[-200:]


def takes_a_session_in_one_piece(machine):
    client = connect(machine)
    client.sendall(LOGIN + b"STAT\r\nRETR 5\r\nNOOP\r\nQUIT\r\n")
    check_replies(to_the_end(client))


def answers_after_a_half_close(machine, name):
    client = connect(machine)
    client.sendall(LOGIN + b"STAT\r\nRETR 5\r\nNOOP\r\nQUIT\r\n")
    client.shutdown(socket.SHUT_WR)
    if name == "ncat":  # it ends the session, whatever is under way; doc/SETUP says so
        to_the_end(client)
        return
    check_replies(to_the_end(client))
    for sent in (b"", b"USER kermit\r\n", LOGIN, LOGIN + b"DELE 1\r\n"):
        client = connect(machine)
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        assert to_the_end(client).count(b"+OK") == 1 + sent.count(b"\r\n"), machine.report()


def survives_resets(machine):
    before = messages(machine)
    client = connect(machine)
    reset(client)
    client = connect(machine)
    read_until(client, b"\r\n")
    client.sendall(b"USER kermit\r\n")
    reset(client)
    client = connect(machine)
    client.sendall(LOGIN)
    reset(client)
    for command in (b"DELE 1\r\n", b"RETR 5\r\n", b"DELE 1\r\nRETR 5\r\nRETR 5\r\n"):
        client = log_in(machine)
        client.sendall(command)
        client.recv(100)
        reset(client)
    assert retry_until(lambda: sessions(machine) == 0, 20), machine.report()
    # whether a message has been read may show in its name, but none is deleted
    assert [name[:21] for name in messages(machine)] == [name[:21] for name in before]


@pytest.mark.parametrize("name", SUPERSERVERS)
def test_a_line_of_setup_serves_sessions(mail, name):
    start(mail, name)
    assert mail.run("sh", "-c", "curl -q -sS -u kermit:bananas pop3://127.0.0.1/").stdout.count(
        b"\r\n") == 5
    fetches_a_large_message(mail)
    takes_a_session_in_one_piece(mail)
    answers_after_a_half_close(mail, name)
    survives_resets(mail)
    fetches_a_large_message(mail)
    assert retry_until(lambda: sessions(mail) == 0, 20), mail.report()


def told(machine, source, target):
    """What the checker and the log are told about a client; the client's port."""
    environ = machine.at("var/tmp/environ")
    if os.path.exists(environ):
        os.unlink(environ)
    client = connect(machine, source, target)
    port = client.getsockname()[1]
    client.sendall(LOGIN + b"QUIT\r\n")
    assert to_the_end(client).count(b"+OK") == 4, machine.report()
    machine.logged(rf"\blogin ip={re.escape(source)} port={port} user=kermit\b")
    with open(environ, "rb") as file:
        noted = dict(pair.split("=", 1) for pair in file.read().decode().split("\0") if pair)
    return {key: noted.get(key) for key in ("PROTO", "TCPREMOTEIP", "TCPREMOTEPORT", "TCPLOCALIP",
                                            "TCPLOCALPORT")}, port


@pytest.mark.parametrize("name", SUPERSERVERS)
def test_a_client_of_another_host_is_known_by_its_address(mail, name):
    addresses = [(CLIENT, SERVER, "TCP")]
    if SUPERSERVERS[name][1]:
        addresses.append((CLIENT6, SERVER6, "TCP6"))
    server = start(mail, name)
    for source, target, _ in addresses:
        client = connect(mail, source, target)
        client.sendall(LOGIN + b"QUIT\r\n")
        got = to_the_end(client)
        assert b"-ERR [AUTH] no login in clear text here" in got, (source, got)
        assert b"messages" not in got.replace(b"messages left", b""), (source, got)
    stop(mail, server)

    mail.write("/var/tmp/checker", "#!/bin/sh\ncat /proc/$$/environ >/var/tmp/environ\n"
               "exec /usr/local/sbin/pop3d-checkpw -f /etc/pop3d/passwd \"$@\"\n", 0o755)
    mail.write("/var/tmp/pop3d", f"#!/bin/sh\nexec {PROGRAM} --allow-cleartext -- "
               "/var/tmp/checker\n", 0o755)
    start(mail, name, "/var/tmp/pop3d")
    for source, target, protocol in addresses:
        noted, port = told(mail, source, target)
        assert noted == {"PROTO": protocol, "TCPREMOTEIP": source, "TCPREMOTEPORT": str(port),
                         "TCPLOCALIP": target, "TCPLOCALPORT": str(POP3)}


def test_stunnel_starts_pop3d(mail):
    mail.follow(block("First: a certificate and ticket keys", "openssl req"))
    stunnel = find_program("stunnel4", "stunnel4")
    mail.write("/etc/stunnel/pop3s.conf", block(HEADING, "foreground"))
    mail.start({POP3S}, stunnel, "/etc/stunnel/pop3s.conf")
    curl = ["curl", "-q", "-sS", "-k", "-u", "kermit:bananas", "--max-time", "20", "--interface"]
    for source, target in ((CLIENT, SERVER), (CLIENT6, f"[{SERVER6}]")):
        assert mail.run(*curl, source, f"pop3s://{target}/").stdout.count(b"\r\n") == 5
        mail.logged(rf"\blogin ip={re.escape(source)} port=\d+ user=kermit tls=no\b")
        done = mail.run(*curl, source, f"pop3s://{target}/5")
        assert done.stdout == LARGE.replace(b"\n", b"\r\n")
    # pipelined, in one piece
    done = mail.run("openssl", "s_client", "-quiet", "-ign_eof", "-connect", f"{SERVER}:{POP3S}",
                    "-bind", CLIENT, text=LOGIN + b"STAT\r\nRETR 5\r\nNOOP\r\nQUIT\r\n")
    check_replies(done.stdout)
    assert retry_until(lambda: sessions(mail) == 0, 20), mail.report()
