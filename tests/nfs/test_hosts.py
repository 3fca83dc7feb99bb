"""What one session sees and does while a session on another host, or the server, changes the Maildir."""
import json
import os
import time

import pytest

import harness
import hosts
from harness import logged_in

pytestmark = pytest.mark.skipif(not hosts.INSIDE, reason="make check-nfs runs it, in a kernel of its own")

BOTH = pytest.mark.parametrize("version", hosts.VERSIONS)
BIG = b"Subject: big\n\n" + b"0123456789 " * 7 * 60000 + b"\n"  # More than is read ahead.


HASH = "$5$rounds=1000$kermit$4156He2XNHNO.RvlbkouCziDeL7tO5wbuqTJkNk9kX1"  # of "geheim"


@pytest.fixture
def home(lab, request):
    name = "".join(c if c.isalnum() else "-" for c in request.node.name)
    home = hosts.Shared(lab, name)
    for i in range(3):
        hosts.deliver(home.maildir, f"{1000 + i}.M1P{i}.server", b"Subject: %d\n\ntext\n" % i)
    return home


def views(home, version):
    return [home.at(hosts.mount_point(host, version)) for host in "ab"]


def two_sessions(lab, home, version, at):
    """One where the first host has mounted the Maildir once more, one on the second host."""
    return (logged_in(lab, home.at(at), "--no-index"),
            logged_in(lab, views(home, version)[1], "--no-index"))


@BOTH
@pytest.mark.parametrize("mount", ("noac", "nocto"))
def test_a_message_that_another_host_moved_is_served_and_removed(lab, home, version, mount):
    """Even where the mount keeps listings for half a minute: it must not be taken to be gone."""
    with hosts.mounted("a", version, mount) as at:
        first, second = two_sessions(lab, home, version, at)
        second.ask_multi("RETR 1")
        second.ask_multi("RETR 2")
        assert second.quit().startswith("+OK")
        assert first.ask("RETR 1").startswith("+OK"), first.report()
        first.body()
        first.ask("DELE 1")
        first.ask("DELE 2")
        reply = first.quit()
    left = home.maildir.names()
    assert (reply.startswith("+OK") and left == [b"cur/1002.M1P2.server:2,"]) or \
        (reply.startswith("-ERR") and len(left) > 1), (reply, left)
    assert reply.startswith("+OK"), first.report()


@BOTH
@pytest.mark.parametrize("mount", ("noac", "nocto"))
def test_a_message_that_another_host_removed_is_gone(lab, home, version, mount):
    with hosts.mounted("a", version, mount) as at:
        first, second = two_sessions(lab, home, version, at)
        second.ask("DELE 1")
        second.ask("DELE 2")
        assert second.quit().startswith("+OK")
        reply = first.ask("RETR 1")
        if reply.startswith("+OK"):  # nocto: the host has kept the file
            first.body()
        else:
            assert "is gone" in reply, reply
        print(json.dumps({"removed by another host": reply, "version": version, "mount": mount}))
        first.ask("DELE 2")
        assert first.quit().startswith("+OK"), first.report()
    assert home.maildir.names() == [b"cur/1002.M1P2.server:2,"]


@BOTH
@pytest.mark.parametrize("who", ("same", "other", "server"))
def test_a_message_that_is_removed_while_it_is_sent(lab, home, version, who):
    """On the same host NFS keeps it under a name with a dot, and on another one the handle may become
    stale: what is sent is the whole message, or the session ends."""
    hosts.deliver(home.maildir, "2000.M1P1.server", BIG)
    here, there = views(home, version)
    first = logged_in(lab, here)
    first.send(b"RETR 4\r\n")
    assert first.line().startswith("+OK")
    if who == "server":
        os.unlink(home.maildir.at("new", "2000.M1P1.server"))
    else:
        second = logged_in(lab, here if who == "same" else there)
        second.ask("DELE 4")
        assert second.quit().startswith("+OK")
    hidden = [n for n in os.listdir(home.maildir.at("new")) if n.startswith(b".nfs")]
    rest = first.rest if who != "same" else None
    try:
        body = first.body()
        assert body == BIG.replace(b"\n", b"\r\n")
        whole = True
        assert first.quit().startswith("+OK")
    except AssertionError:
        whole = False
        assert rest is not None and first.at_eof, first.report()
        assert not first.got.endswith(b"\r\n.\r\n")
        assert "message-read-failed" in first.log()
    print(json.dumps({"removed while sent": who, "version": version, "whole": whole, ".nfs": len(hidden)}))
    assert not [n for n in os.listdir(home.maildir.at("new")) if n.startswith(b".nfs")]
    assert harness.retry_until(lambda: len(home.maildir.names()) == 3)


@BOTH
def test_names_that_nfs_hides_are_no_messages(lab, home, version):
    """What a host that died has left."""
    home.maildir.add(".nfs000000000000000100000001", b"old\n")
    home.maildir.add(".nfs000000000000000200000002", b"old\n", sub="cur")
    server = logged_in(lab, views(home, version)[0])
    assert server.ask("STAT").startswith("+OK 3 ")
    assert server.quit().startswith("+OK")
    assert len(home.maildir.names()) == 5


@BOTH
def test_the_maildir_vanishes_in_mid_session(lab, home, version):
    """All file handles become stale: nothing is answered with +OK that is not so."""
    server = logged_in(lab, views(home, version)[0])
    server.ask("DELE 2")
    os.rename(home.maildir.path, home.maildir.path + b".gone")
    hosts.run("rm", "-r", os.fsdecode(home.maildir.path + b".gone"))
    reply = server.ask("RETR 1")
    if reply.startswith("+OK"):  # v3: the host has kept the file
        assert server.body() == b"Subject: 0\r\n\r\ntext\r\n"
    reply = server.quit()
    print(json.dumps({"Maildir removed": reply, "version": version}))
    assert reply.startswith("-ERR") or "update-failed" not in server.log(), server.report()


@BOTH
def test_a_server_that_restarts_in_mid_session(lab, home, version):
    hosts.deliver(home.maildir, "2000.M1P1.server", BIG)
    server = logged_in(lab, views(home, version)[0])
    server.send(b"RETR 4\r\n")
    assert server.line().startswith("+OK")
    begin = time.monotonic()
    hosts.restart_server()
    assert server.body() == BIG.replace(b"\n", b"\r\n")
    server.ask("DELE 4")
    server.ask("DELE 1")
    assert server.ask("QUIT", 90).startswith("+OK"), server.report()
    print(json.dumps({"server restarted in RETR": round(time.monotonic() - begin, 1), "version": version}))
    assert home.maildir.names() == [b"cur/1001.M1P1.server:2,", b"cur/1002.M1P2.server:2,"]


@BOTH
def test_an_update_while_the_server_restarts(lab, home, version):
    """The server forgets what it has answered: a removal that is asked for again was done already."""
    count = 400
    for i in range(count):
        hosts.deliver(home.maildir, f"{3000 + i}.M1P{i}.server", b"x\n")
    server = logged_in(lab, views(home, version)[0])
    for i in range(0, count, 2):
        assert server.ask(f"DELE {i + 1}").startswith("+OK")
    server.send(b"QUIT\r\n")
    for _ in range(3):
        time.sleep(0.05)
        hosts.restart_server(0.1)
    reply = server.line(90)
    server.ended(60)
    left = home.maildir.names()
    print(json.dumps({"server restarted in QUIT": reply, "version": version, "left": len(left)}))
    assert reply.startswith("+OK"), server.report()
    assert len(left) == 3 + count // 2
    assert all(name.startswith(b"cur/") for name in left)


@BOTH
@pytest.mark.parametrize("why", ("disk", "quota", "inodes"))
def test_a_full_export(lab, home, version, why):
    """No index is written, and QUIT removes what it was asked to."""
    for i in range(150):
        hosts.deliver(home.maildir, f"{3000 + i}.M1P{i}.server", b"x\n")
    uid = str(harness.MAIL_UID)
    server = logged_in(lab, views(home, version)[0])
    server.ask_multi("RETR 1")
    for number in range(2, 100):
        server.ask(f"DELE {number}")
    if why == "disk":
        full = hosts.fill_disk()
    elif why == "quota":
        hosts.run("setquota", "-u", uid, "1", "1", "0", "0", hosts.DISK)
    else:
        hosts.run("setquota", "-u", uid, "0", "0", "1", "1", hosts.DISK)
    try:
        reply = server.quit()
        again = logged_in(lab, views(home, version)[1])
        stat = again.ask("STAT")
        again.ask("DELE 1")
        second = again.quit()
    finally:
        if why == "disk":
            os.unlink(full)
        hosts.run("setquota", "-u", uid, "0", "0", "0", "0", hosts.DISK)
    print(json.dumps({"full": why, "version": version, "quit": reply, "next": stat, "its quit": second,
                      "index": sorted(map(os.fsdecode, os.listdir(home.maildir.at("pop3d"))))}))
    assert reply.startswith("+OK") and second.startswith("+OK"), (reply, second, server.report())
    assert stat.startswith("+OK 55 ") and len(home.maildir.names()) == 54


@BOTH
def test_a_login_where_root_is_nobody(lab, version):
    """With root_squash, root cannot enter a home of mode 0700: the checker changes identity first."""
    home = hosts.Shared(lab, f"squashed-{version}", "squashed")
    hosts.deliver(home.maildir, "1000.M1P1.server", b"text\n")
    at = "/mnt/squashed"
    os.makedirs(at, exist_ok=True)
    hosts.on_host("a", "mount", "-t", "nfs", "-o",
                  "vers=3,tcp,nolock" if version == "3" else "vers=4.2,nosharecache",
                  f"192.0.2.1:{'/mnt/disk/squashed' if version == '3' else '/squashed'}", at)
    try:
        view = os.path.join(at, home.name)
        with pytest.raises(PermissionError):
            os.listdir(view)
        table = os.path.join(lab.directory, f"squashed-{version}")
        with open(table, "w", encoding="ascii") as file:
            file.write(f"kermit:{HASH}:{harness.MAIL_UID}:{harness.MAIL_GID}:{view}\n")
        os.chmod(table, 0o600)
        passwords = os.path.join(lab.directory, "bin", "pop3d-checkpw")
        server = lab.start([lab.pop3d, "--hostname", harness.HOST, "--", passwords, "--file", table], cwd="/")
        server.line()
        server.ask("USER kermit")
        reply = server.ask("PASS geheim")
        print(json.dumps({"root_squash": reply, "version": version}))
        assert reply.startswith("+OK"), server.report()
        server.ask("DELE 1")
        assert server.quit().startswith("+OK"), server.report()
        assert not home.maildir.names()
    finally:
        hosts.run("umount", "-l", at)


def test_one_session_at_a_time_on_two_hosts(lab, home):
    """--lock holds on all hosts that mount by NFSv4."""
    here, there = views(home, "4")
    first = logged_in(lab, here, "--lock")
    second = lab.session(there, "--lock")
    assert second.line().startswith("-ERR [IN-USE]"), second.report()
    assert first.quit().startswith("+OK")
    third = logged_in(lab, there, "--lock")
    assert third.quit().startswith("+OK")
