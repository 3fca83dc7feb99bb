"""A client with many addresses, on a machine of its own: what doc/SETUP recommends holds it back."""
import re
import socket

import pytest

from harness import retry_until
from launch import TREE, find_program, shipped
from machine import SERVER, block, blocks
from machine import machine  # a fixture, pylint: disable=unused-import
from test_other_superservers import SERVER6, connect

CROWD = [f"2001:db8:1::{number:x}" for number in range(1, 15)]
NEIGHBOUR, CLIENT4 = "2001:db8:2::1", "192.0.2.7"
LIMIT = 10


@pytest.fixture
def mail(machine):
    make_mailbox, make_passwords, *_ = blocks("A mailbox by hand")
    machine.follow(make_mailbox, directory=TREE)
    machine.follow(make_passwords, b"bananas\n")
    machine.follow(block("First: a certificate and ticket keys", "openssl req"))
    machine.follow(block("First: a certificate and ticket keys", "pop3d-tls --make"))
    for address in (SERVER6, NEIGHBOUR, *CROWD):
        machine.run("ip", "address", "add", f"{address}/128", "dev", "lo", "nodad")
    return machine


def greeted(client):
    try:
        return client.recv(3) == b"+OK"
    except ConnectionResetError:
        return False


def try_connect(machine, source):
    """A connection that was greeted, or None."""
    try:
        client = connect(machine, source, SERVER6 if ":" in source else SERVER)
    except (ConnectionRefusedError, ConnectionResetError):
        return None
    if greeted(client):
        return client
    client.close()
    return None


def crowd(machine, sources):
    """Those of the connections that are served."""
    return [client for source in sources if (client := try_connect(machine, source))]


def leave(clients):
    for client in clients:
        client.shutdown(socket.SHUT_RDWR)
        client.close()


def held_back(mail):
    """One /64 gets ten places, another network and IPv4 theirs, and places become free again."""
    inside = crowd(mail, CROWD)
    assert len(inside) == LIMIT, mail.report()
    others = crowd(mail, [NEIGHBOUR, CLIENT4])
    assert len(others) == 2, mail.report()
    leave(inside[:5])

    def place():
        inside.extend(found := crowd(mail, CROWD[-1:]))
        return found

    assert retry_until(place, 10, 0.2), mail.report()
    many = crowd(mail, [CLIENT4] * 14)
    assert len(many) == LIMIT - 1, mail.report()
    leave(inside[5:] + others + many)


def start_xinetd(mail, name, port):
    find_program("xinetd", "xinetd")
    mail.run("cp", f"xinetd.d/{name}", "/etc/xinetd.d/")
    mail.start({port}, "xinetd", "-dontfork", "-pidfile", "/run/xinetd.pid")


def test_a_limit_for_addresses_holds_no_network_back(mail):
    """Why doc/SETUP has the other two."""
    start_xinetd(mail, "pop3", 110)
    inside = crowd(mail, CROWD)
    assert len(inside) == len(CROWD)
    same = crowd(mail, [NEIGHBOUR] * 14)
    assert len(same) == LIMIT
    leave(inside + same)


def test_the_firewall_counts_networks(mail):
    nft = find_program("nft", "nftables")
    section = "One client with many addresses"
    path = re.search(r"Write (\S+\.nft):$", shipped("doc", "SETUP"), re.MULTILINE)[1]
    mail.write(path, block(section, "table inet"))
    done = mail.run("sh", "-e", "-c", block(section, "nft "), check=False)
    if done.returncode != 0 and b"not supported" in done.stderr:
        pytest.skip(f"{nft}: {done.stderr.decode()}")
    assert done.returncode == 0, done
    start_xinetd(mail, "pop3", 110)
    held_back(mail)


def test_haproxy_counts_networks(mail):
    haproxy = find_program("haproxy", "haproxy")
    start_xinetd(mail, "pop3-proxied", 1110)
    mail.write("/etc/haproxy/haproxy.cfg",
               mail.read("/etc/haproxy/haproxy.cfg") + block("Behind HAProxy", "frontend"))
    mail.start({110, 995}, haproxy, "-db", "-f", "/etc/haproxy/haproxy.cfg")
    held_back(mail)
