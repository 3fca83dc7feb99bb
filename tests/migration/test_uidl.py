"""--uidl-from and --import-uids: unique ids that clients know from another server.

The samples are what Debian's servers wrote and sent; make check-migration runs the servers
themselves.
"""
import hashlib
import os
import subprocess

import pytest

import harness
from harness import MAIL_GID, MAIL_UID, ROOT

# Names as delivery agents make them, in the order of a session.
LONG = b"1700000004.M4P4." + b"l" * 60 + b",S=16"
NAMES = [b"1700000001.M1P1.host", b"1700000002.M2P2.host,S=16", b"1700000003.M3P3.host,S=16,W=19",
         LONG, b"1700000005_0.host", b"1700000006.M6 blank.host", b"1700000007.M7,odd.host"]
CONTENT = b"Subject: x\n\ntext\n"

UIDLIST = b"""3 V1795704872 N12 Gcac9583b2848086bc213000083ecc375
1 W19 :%s
2 W19 :%s
3 :%s:2,S
4 W19 Psaved-by-dovecot :%s
9 W19 :gone.message
10 W19 :%s
11 W19 :%s
""" % tuple(NAMES[:6])
DOVECOT = [b"000000016b084828", b"000000026b084828", b"000000036b084828", b"saved-by-dovecot",
           b"0000000a6b084828", b"0000000b6b084828", NAMES[6]]

SIZELIST = b"/3 10 1795704816\n" + b"".join(
    b"%s:2, 19 %d:1795704816:0\n" % (name, number) for number, name in enumerate(NAMES[:6], 1))
COURIER = [b"UID%d-1795704816" % number for number in range(1, 7)] + [NAMES[6]]

BY_NAME = {
    "mailfront": [NAMES[0], b"1700000002.M2P2.host", b"1700000003.M3P3.host", LONG[:70], NAMES[4],
                  NAMES[5], NAMES[6]],
    "qmail": NAMES,
    "solid-pop3d": [hashlib.md5(name, usedforsecurity=False).hexdigest().encode() for name in NAMES],
}
BY_NAME["tpop3d"] = BY_NAME["solid-pop3d"]
LISTS = {"dovecot": ("dovecot-uidlist", UIDLIST, DOVECOT),
         "courier": ("courierpop3dsizelist", SIZELIST, COURIER)}


def fill(home, names=tuple(NAMES)):
    for name in names:
        home.maildir.add(name + b":2,", CONTENT, "cur")
    return home


def write(home, name, octets):
    path = home.maildir.at(name)
    with open(path, "wb") as file:
        file.write(octets)
    harness.own(path)
    return path


def uidl(lab, home, *options):
    """The unique ids of a session, in order, and what it logged."""
    server = lab.session(home, *options)
    assert server.line().startswith("+OK"), server.report()
    uids = [uid.encode("latin-1") for uid in server.listing("UIDL").values()]
    for number, uid in enumerate(uids, 1):
        assert server.ask(f"UIDL {number}") == f"+OK {number} {uid.decode('latin-1')}"
    server.quit()
    return uids, server.log()


def own_uids(lab, names):
    """The unique ids of a Maildir that was never anybody else's."""
    return uidl(lab, fill(harness.Home(lab), names))[0]


@pytest.mark.parametrize("kind", sorted(LISTS))
def test_a_list_is_taken_over_at_the_first_login_and_stays(lab, home, kind):
    name, octets, expected = LISTS[kind]
    fill(home)
    before = write(home, name, octets)
    got, log = uidl(lab, home, "--uidl-from", kind)
    assert got == expected
    assert "uids-taken messages=7 taken=6 same=0 unknown=1 shared=0 wrong=0 list=yes" in log
    with open(before, "rb") as file:
        assert file.read() == octets
    # the decision holds whatever the option says and whatever becomes of the list
    os.unlink(before)
    for options in ([], ["--uidl-from", kind], ["--uidl-from", "mailfront"], ["--no-index"]):
        got, log = uidl(lab, home, *options)
        assert got == expected and "uids-" not in log


@pytest.mark.parametrize("kind", sorted(BY_NAME))
def test_unique_ids_made_from_names(lab, home, kind):
    fill(home)
    assert uidl(lab, home, "--uidl-from", kind)[0] == BY_NAME[kind]
    assert uidl(lab, home)[0] == BY_NAME[kind]


def test_mailutils_saves_unique_ids_in_the_messages(lab, home):
    for number in range(3):
        home.maildir.add(b"170000000%d.M1.host,a=O,u=1:2," % number,
                         b"Subject: x\nX-UIDL: 5127bee2.17957.%d\n\ntext\n" % number, "cur")
    home.maildir.add(b"1700000005.new.host", CONTENT)
    expected = [b"5127bee2.17957.0", b"5127bee2.17957.1", b"5127bee2.17957.2", b"1700000005.new.host"]
    assert uidl(lab, home, "--uidl-from", "mailutils")[0] == expected
    # new mail whose sender knows the field does not get somebody else's unique id
    home.maildir.add(b"1700000006.new.host", b"X-UIDL: 5127bee2.17957.0\n\ntext\n")
    assert uidl(lab, home)[0] == expected + [b"1700000006.new.host"]


@pytest.mark.parametrize("form, expected", [
    ("%08Xv%08Xu", b"6b08482800000001"), ("%v.%u", b"1795704872.1"), ("%f", NAMES[0]),
    ("%{uid | hex(8)}%{uidvalidity | hex(8)}", DOVECOT[0])])
def test_other_formats_of_dovecot(lab, home, form, expected):
    fill(home)
    write(home, "dovecot-uidlist", UIDLIST)
    assert uidl(lab, home, "--uidl-from", f"dovecot:{form}")[0][0] == expected


def test_an_option_that_is_wrong_is_said_at_the_start(lab):
    for kind in ("cyrus", "dovecot:x", "dovecot:%m", "qmail:%f", "x" * 200):
        done = subprocess.run([lab.pop3d, "--uidl-from", kind, "/bin/true"], stdin=subprocess.DEVNULL,
                              capture_output=True, check=False, env=lab.environment())
        assert done.returncode == 100 and b"--uidl-from" in done.stderr, done


def test_without_the_option_nothing_is_taken_over(lab, home):
    fill(home)
    write(home, "dovecot-uidlist", UIDLIST)
    assert uidl(lab, home)[0] == own_uids(lab, NAMES)
    assert not os.path.exists(home.maildir.at("pop3d-uids"))


@pytest.mark.parametrize("options", [[], ["--no-index"]])
def test_deletions_flags_and_new_mail_change_no_unique_id(lab, home, options):
    # enough for an index
    names = [b"17000001%02d.M1P1.host,S=16" % number for number in range(99)]
    fill(home, NAMES + names)
    write(home, "dovecot-uidlist", UIDLIST)
    expected = DOVECOT + names
    for _ in range(3):
        assert uidl(lab, home, "--uidl-from", "dovecot", *options)[0] == expected
    os.rename(home.maildir.at("cur", NAMES[1] + b":2,"), home.maildir.at("cur", NAMES[1] + b":2,FS"))
    home.maildir.add(b"1700000300.M1P1.host,S=16", CONTENT)
    server = lab.session(home, *options)
    server.line()
    assert server.ask("DELE 1").startswith("+OK")
    assert server.ask("RETR 3").startswith("+OK")
    server.body()
    server.quit()
    expected = expected[1:] + [b"1700000300.M1P1.host,S=16"]
    for _ in range(2):
        assert uidl(lab, home, *options)[0] == expected
    # the message comes back from a backup, and is the one that clients know
    fill(home, NAMES[:1])
    assert uidl(lab, home, *options)[0] == DOVECOT[:1] + expected


def test_new_mail_never_gets_a_unique_id_of_another_message(lab, home):
    """mailfront cut it off the name of a message that has gone since."""
    fill(home)
    assert uidl(lab, home, "--uidl-from", "mailfront")[0] == BY_NAME["mailfront"]
    os.unlink(home.maildir.at("cur", NAMES[1] + b":2,"))
    home.maildir.add(b"1700000002.M2P2.host", CONTENT)
    got = uidl(lab, home)[0]
    assert b"1700000002.M2P2.host" not in got and len(set(got)) == 7
    assert len(got[1]) == 32
    fill(home, NAMES[1:2])
    again = uidl(lab, home)[0]
    assert again == [got[0], got[1], b"1700000002.M2P2.host", *got[2:]]


def test_of_messages_with_one_unique_id_one_keeps_it(lab, home):
    """mailfront sends the same for both: names that are alike in 70 octets."""
    names = [LONG, LONG[:-5] + b"x,S=16"]
    fill(home, names)
    got, log = uidl(lab, home, "--uidl-from", "mailfront")
    assert got[0] == LONG[:70] and got[1] == own_uids(lab, names)[1]
    assert "taken=1 same=0 unknown=0 shared=1" in log
    assert uidl(lab, home)[0] == got


def test_a_twin_keeps_what_it_has_when_it_is_renamed(lab, home):
    fill(home)
    write(home, "dovecot-uidlist", UIDLIST)
    assert uidl(lab, home, "--uidl-from", "dovecot")[0] == DOVECOT
    home.maildir.add(NAMES[0], b"a copy\n", "new")
    server = lab.session(home)
    server.line()
    first = list(server.listing("UIDL").values())
    server.quit()
    assert [uid.encode() for uid in first if not uid.startswith("1700000001.M1P1.host-i")] == DOVECOT
    assert [uid.decode() for uid in uidl(lab, home)[0]] == first


def test_a_maildrop_without_a_list_is_decided_too(lab, home):
    """A list that another program makes later changes nothing any more."""
    fill(home)
    expected = own_uids(lab, NAMES)
    got, log = uidl(lab, home, "--uidl-from", "dovecot")
    assert got == expected and "unknown=7 shared=0 wrong=0 list=no" in log
    write(home, "dovecot-uidlist", UIDLIST)
    assert uidl(lab, home, "--uidl-from", "dovecot")[0] == expected


def test_a_damaged_record_costs_one_unique_id_and_is_logged(lab, home):
    fill(home)
    write(home, "dovecot-uidlist", UIDLIST)
    uidl(lab, home, "--uidl-from", "dovecot")
    path = home.maildir.at("pop3d-uids")
    with open(path, "rb") as file:
        lines = file.read().split(b"\n")
    assert DOVECOT[1] in lines[2]
    lines[2] = lines[2].replace(DOVECOT[1], DOVECOT[0])
    write(home, "pop3d-uids", b"\n".join(lines))
    got, log = uidl(lab, home)
    assert got == [DOVECOT[0], NAMES[1], *DOVECOT[2:]]
    assert log.count("uids-damaged lost=1 file=pop3d-uids") == 1


def refused(lab, home, *options):
    server = lab.session(home, *options)
    reply = server.line()
    assert reply is not None and reply.startswith("-ERR [SYS/TEMP]"), server.report()
    assert server.rest() == b""
    server.ended(111)
    return server.log()


@pytest.mark.parametrize("what", ["empty", "no line end", "another version", "a directory", "a link",
                                  "unreadable"])
def test_a_file_that_cannot_be_read_is_sys_temp(lab, home, what):
    fill(home)
    write(home, "dovecot-uidlist", UIDLIST)
    uidl(lab, home, "--uidl-from", "dovecot")
    path = home.maildir.at("pop3d-uids")
    with open(path, "rb") as file:
        octets = file.read()
    if what == "a directory":
        os.rename(path, path + b".kept")
        os.mkdir(path)
    elif what == "a link":
        os.rename(path, path + b".kept")
        os.symlink("pop3d-uids.kept", path)
    elif what == "unreadable":
        os.chmod(path, 0o000)
    else:
        write(home, "pop3d-uids", {"empty": b"", "no line end": octets[:20],
                                   "another version": octets.replace(b"uids 1", b"uids 2")}[what])
    for options in ([], ["--uidl-from", "dovecot"]):
        log = refused(lab, home, *options)
        assert "maildrop-unusable" in log and "at=pop3d-uids" in log
    if os.path.isdir(path):
        os.rmdir(path)


@pytest.mark.parametrize("octets", [b"", b"2 V1 N1\n", b"3 N1\n", b"x" * 20000])
def test_a_list_of_an_unknown_form_is_sys_temp(lab, home, octets):
    fill(home)
    write(home, "dovecot-uidlist", octets)
    refused(lab, home, "--uidl-from", "dovecot")
    assert not os.path.exists(home.maildir.at("pop3d-uids"))


@pytest.mark.skipif(not ROOT, reason="needs root, to give the Maildir away")
def test_a_maildrop_that_cannot_be_written_is_sys_temp(lab, home):
    fill(home)
    write(home, "dovecot-uidlist", UIDLIST)
    os.chown(home.maildir.path, 0, 0)
    refused(lab, home, "--uidl-from", "dovecot")
    assert uidl(lab, home)[0] == own_uids(lab, NAMES)


def test_deletions_are_logged_with_the_unique_id_that_clients_know(lab, home):
    fill(home)
    write(home, "dovecot-uidlist", UIDLIST)
    uidl(lab, home, "--uidl-from", "dovecot")
    server = lab.session(home, "--log-deletions")
    server.line()
    server.ask("DELE 2")
    server.quit()
    assert f"deletion message=2 uid={DOVECOT[1].decode()} size=" in server.log()


def test_many_sessions_take_over_at_once(lab, home):
    fill(home)
    write(home, "dovecot-uidlist", UIDLIST)
    servers = [lab.session(home, "--uidl-from", "dovecot") for _ in range(12)]
    for server in servers:
        assert server.line().startswith("+OK"), server.report()
        assert [uid.encode() for uid in server.listing("UIDL").values()] == DOVECOT
    for server in servers:
        server.quit()
    assert not [name for name in os.listdir(home.maildir.path) if name.startswith(b"pop3d-uids.")]
    assert sum("uids-taken" in server.log() for server in servers) == 1


def test_a_file_that_must_not_grow_is_sys_temp(lab, home):
    fill(home)
    write(home, "dovecot-uidlist", UIDLIST)
    server = lab.session(home, "--uidl-from", "dovecot", wrapper=["prlimit", "--fsize=100"])
    assert server.line().startswith("-ERR [SYS/TEMP]"), server.report()
    server.rest()
    assert "uids-not-taken errno=27" in server.log() and "kind=dovecot:%08Xu%08Xv" in server.log()
    assert not [name for name in os.listdir(home.maildir.path) if name.startswith(b"pop3d-uids")]
    assert uidl(lab, home, "--uidl-from", "dovecot")[0] == DOVECOT


@pytest.mark.skipif(not ROOT, reason="needs root, to trace a session of another user")
def test_the_file_is_on_the_disk_before_its_first_use(lab, home, tmp_path):
    fill(home)
    write(home, "dovecot-uidlist", UIDLIST)
    trace = tmp_path / "trace"
    server = lab.session(home, "--uidl-from", "dovecot", uid=None, wrapper=[
        "strace", "-o", str(trace), "-y", "-e", "trace=openat,write,writev,sendto,fsync,renameat2",
        "setpriv", "--reuid", str(MAIL_UID), "--regid", str(MAIL_GID), "--clear-groups"])
    assert server.line().startswith("+OK"), server.report()
    server.quit()
    calls = [line for line in trace.read_text().splitlines()
             if "pop3d-uids" in line or "fsync(" in line or "+OK" in line]
    order = [next(i for i, line in enumerate(calls) if part in line) for part in (
        "O_CREAT", "fsync(", "renameat2(", "Maildir>)", '"pop3d-uids", O_RDONLY|', "+OK")]
    print(*calls, sep="\n")
    assert "tmp0>" in calls[order[1]] and calls[order[3]].startswith("fsync(")
    assert order[1] < order[2] < order[3] < order[5]
