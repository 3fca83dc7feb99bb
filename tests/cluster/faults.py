"""What happens to the cluster in each phase, while the load runs.

Each function gets the cluster and the load, does its damage, and repairs it. What it returns goes
into the report as a note.
"""
import os
import random
import signal
import socket
import ssl
import time

import load as clients
from cluster import BALANCER6, RECIPE, make_certificate, wait_for
from model import identify

PROCESSES = ("pop3d", "pop3d-tls", "pop3d-checkpw")


def nothing(cluster, load):
    """The load alone."""
    del cluster
    time.sleep(load.options.seconds)


def processes_killed(cluster, load):
    """Processes of sessions, whichever it hits, four times a second."""
    end, count = time.monotonic() + load.options.seconds, 0
    while time.monotonic() < end:
        pids = random.choice(cluster.bricks).pids(*PROCESSES)
        if pids:
            try:
                os.kill(random.choice(pids), signal.SIGKILL)
                count += 1
            except ProcessLookupError:
                pass  # it has ended by itself
        time.sleep(0.25)
    return f"{count} processes"


def wait_until_healed(cluster):
    """Waits, without load, until the bricks are the same; returns how long that took."""
    begin = time.monotonic()

    def is_healed():
        cluster.gluster("volume", "heal", "mail")
        return cluster.unhealed() == 0
    wait_for("healing", is_healed, 120)
    return time.monotonic() - begin


def network_cut(cluster, load):
    """A node is cut off without a word, for longer than the file system waits, and comes back."""
    del load
    cluster.nodes[2].plug(False)
    time.sleep(cluster.ping_timeout + 12)
    cluster.nodes[2].plug(True)
    cluster.wait_until_up(2)
    time.sleep(5)


def brick_killed(cluster, load):
    """The server process of one copy dies, misses changes, and comes back."""
    for pid in cluster.nodes[3].pids("glusterfsd"):
        os.kill(pid, signal.SIGKILL)
    time.sleep(load.options.seconds)
    cluster.gluster("volume", "start", "mail", "force")
    time.sleep(5)


def set_state(cluster, name, state):
    """Of a server in both backends."""
    cluster.ask(*(f"set server {proxy}/{name} state {state}" for proxy in ("pop3", "pop3s-passed")))


def drain(cluster, name):
    """Gives a server no new sessions, and waits until the last one has ended. Returns the seconds."""
    begin = time.monotonic()
    set_state(cluster, name, "drain")
    wait_for("no sessions", lambda: all(
        cluster.statistics()[proxy, name]["scur"] == "0" for proxy in ("pop3", "pop3s-passed")), 120)
    return time.monotonic() - begin


def node_drained(cluster, load):
    """A node gets no new sessions, is stopped when the last one has ended, and comes back."""
    del load
    seconds = drain(cluster, "node1")
    cluster.nodes[1].stop_pop3d()
    time.sleep(3)
    cluster.nodes[1].start_pop3d()
    set_state(cluster, "node1", "ready")
    cluster.wait_until_up(1)
    time.sleep(3)
    return f"empty after {seconds:.1f} s"


def haproxy_reloaded(cluster, load):
    """HAProxy starts anew with its configuration, three times."""
    for _ in range(3):
        cluster.balancer.running["haproxy"].send_signal(signal.SIGUSR2)
        time.sleep(load.options.seconds / 3)


def tickets_rotated(cluster, load):
    """New ticket keys on node 1, copied to the others, as doc/SETUP says."""
    for _ in range(3):
        cluster.nodes[1].run("pop3d-tls", "--rotate-ticket-keys", "/etc/pop3d/tickets")
        with open(cluster.nodes[1].path("/etc/pop3d/tickets"), "rb") as file:
            keys = file.read()
        for number in (2, 3, 4):
            cluster.nodes[number].write("/etc/pop3d/tickets", keys, 0o600)
        time.sleep(load.options.seconds / 3)


def served_certificate(way):
    """The certificate that a new client gets."""
    client = clients.Client(way, "2001:db8:1ff::1", 30, has_ticket=False)
    client.close()
    return client.certificate


def certificate_renewed(cluster, load):
    """A new certificate on all hosts, without a reload."""
    pem = make_certificate(2)
    for host in [*cluster.nodes.values(), cluster.balancer]:
        host.write("/etc/pop3d/tls.pem", pem, 0o600)
    said = cluster.balancer.run("sh", os.path.join(RECIPE, "renew"))
    time.sleep(load.options.seconds)
    text = pem.decode()
    wanted = ssl.PEM_cert_to_DER_cert(text[text.index("-----BEGIN CERTIFICATE"):])
    for way in clients.WAYS:
        if served_certificate(way) != wanted:
            load.report.add("wrong", 1, f"{way}: the old certificate is served; HAProxy said {said}")


def server_added(cluster, load):
    """A fourth node, which has no copy of the mail, gets its share without a restart."""
    cluster.nodes[4].start_pop3d()
    said = cluster.balancer.run("sh", os.path.join(RECIPE, "add-server"))
    time.sleep(load.options.seconds)
    if load.report.count["node4"] == 0:
        load.report.add("wrong", 1, f"node 4 got no session; HAProxy said {said}")
    drain(cluster, "node4")
    set_state(cluster, "node4", "maint")
    return f"{load.report.count['node4']} sessions on node 4"


def network_limited(cluster, load):
    """Ten connections from a /64 are served, the eleventh is not; other clients do not notice."""
    del cluster
    held = [socket.create_connection((BALANCER6, 110), 30, (f"2001:db8:100:7::{number}", 0))
            for number in range(1, 11)]
    greeted = sum(each.recv(3) == b"+OK" for each in held)
    try:
        more = socket.create_connection((BALANCER6, 110), 30, ("2001:db8:100:7:1::1", 0))
        is_served = more.recv(3) == b"+OK"
    except OSError:
        is_served = False
    other = socket.create_connection((BALANCER6, 110), 30, ("2001:db8:100:8::1", 0))
    if greeted != 10 or is_served or other.recv(3) != b"+OK":
        load.report.add("wrong", 1, f"{greeted} of 10 greeted, the eleventh: {is_served}")
    time.sleep(3)
    for each in [*held, other]:
        each.close()


# name -> what happens, and what may happen to those clients whose connections it hits
FAULTS = {
    "none": (nothing, ()),
    # where a checker is killed, its client reads -ERR [SYS/TEMP]
    "processes killed": (processes_killed, ("broken", "refused")),
    "node cut off": (network_cut, ("broken", "errors")),
    "brick killed": (brick_killed, ()),
    "node drained": (node_drained, ()),
    "HAProxy reloaded": (haproxy_reloaded, ()),
    "ticket keys rotated": (tickets_rotated, ()),
    "certificate renewed": (certificate_renewed, ()),
    "server added": (server_added, ()),
    "a /64 limited": (network_limited, ()),
}


def audit(cluster, number, boxes, report):
    """Compares the files of the volume, as one node sees them, with the model."""
    for box in boxes:
        top = cluster.nodes[number].path(f"/srv/mail/{box.user}/Maildir")
        found = {}
        for sub in ("new", "cur"):
            for name in os.listdir(os.path.join(top, sub)):
                if found.setdefault(name.partition(":")[0], sub + "/" + name) != sub + "/" + name:
                    report.add("wrong", 1, f"{box.user} {name}: two files, seen by node {number}")
        uids = {uid_of(box, os.path.join(top, place), name) for name, place in found.items()}
        here, gone = box.state()
        for uid in here - uids - {None}:
            report.add("lost", 1, f"{box.user} {uid}: no file, seen by node {number}")
        for uid in gone & uids:
            report.add("undone", 1, f"{box.user} {uid}: a file, seen by node {number}")


def uid_of(box, path, name):
    """The unique id of a file; long names have others, which the model knows by the contents."""
    if name in box.by_uid:
        return name
    with open(path, "rb") as file:
        serial = identify(file.read())[1]
    known = box.messages.get(serial)
    return known.uid if known else None
