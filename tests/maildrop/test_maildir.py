"""The snapshot of a Maildir: what is a message, its order and UID, and finding it again."""
import os
import random
import re
import shutil
import socket

import pytest

import harness
from harness import HOST, ROOT, logged_in

VALID_UID = re.compile(r"[!-~]{1,70}")


def count_of(server):
    return int(server.ask("STAT").split()[1])


def retrieve(server, number):
    return server.ask_multi(f"RETR {number}")[1]


# -- what is a message

def test_only_regular_files_are_messages(lab, home):
    box = home.maildir
    box.add("5.message", b"the only one\n")
    outside = os.path.join(home.path, "outside")
    with open(outside, "wb") as file:
        file.write(b"not mail\n")
    for sub in ("new", "cur"):
        os.mkfifo(box.at(sub, "1.fifo"))
        os.mkdir(box.at(sub, "2.directory"))
        os.symlink(outside, box.at(sub, "3.link"))
        os.symlink("5.message", box.at(sub, "3.inner"))
        os.symlink("/nonexistent", box.at(sub, "3.dangling"))
        box.add(".4.dotfile", b"hidden\n", sub)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(box.at(sub, "4.socket"))
    before = box.state()
    server = logged_in(lab, home)
    assert server.ask("STAT") == "+OK 1 14"
    assert retrieve(server, 1) == b"the only one\r\n"
    assert server.ask("DELE 1") == "+OK message 1 deleted"
    assert server.quit().startswith("+OK")
    del before[b"new/5.message"]
    assert box.state() == before


def test_files_in_tmp_are_no_messages(lab, home):
    home.maildir.add("1.a", b"half a mess", sub="tmp")
    assert count_of(logged_in(lab, home)) == 0


@pytest.mark.parametrize("kind", ["symlink", "fifo", "directory"])
def test_message_that_becomes_something_else_is_not_served(lab, home, kind):
    path = home.maildir.add("1.a,W=15", b"a message...\n")
    secret = os.path.join(home.path, "secret")
    with open(secret, "wb") as file:
        file.write(b"root:secret\n")
    server = logged_in(lab, home)
    os.remove(path)
    {"symlink": lambda: os.symlink(secret, path), "fifo": lambda: os.mkfifo(path),
     "directory": lambda: os.mkdir(path)}[kind]()
    assert server.ask("RETR 1").startswith("-ERR")
    assert server.ask("TOP 1 1").startswith("-ERR")
    assert server.ask("NOOP") == "+OK"
    assert b"secret" not in server.got


# -- names and UIDs

ODD_NAMES = [b"255." + b"n" * 251, b"with blanks .x", b" leading", b"trailing ", b"new\nline", b"\n",
             b"tab\there", b"8bit \xe4\xff\x80", b"\xc3\xa4.utf8", b"%s%n%d", b"-rf", b"~", b"#1",
             b"back\\slash", b"quote\"'`", b"cr\rin.it", b"esc\x1b[2J", b"\x7f", b"*?[a]",
             b"x" * 70, b"y" * 71, b"z" * 255, b":2,S", b":", b"a::b", b"a=b,c"]


def test_messages_with_odd_names_are_served_and_removed(lab, home):
    contents = {}
    for number, name in enumerate(ODD_NAMES):
        contents[name] = b"Subject: %d\n\n%s\n" % (number, b"." * number)
        home.maildir.add(name, contents[name])
    server = logged_in(lab, home)
    assert count_of(server) == len(ODD_NAMES)
    uids = server.listing("UIDL")
    assert all(VALID_UID.fullmatch(uid) for uid in uids.values()), uids
    assert len(set(uids.values())) == len(ODD_NAMES)
    bodies = {retrieve(server, number) for number in uids}
    assert bodies == {text.replace(b"\n", b"\r\n").replace(b"\n.", b"\n..")
                      for text in contents.values()}
    for number in uids:
        assert server.ask(f"DELE {number}").startswith("+OK")
    assert server.quit() == f"+OK {HOST} POP3 server signing off (maildrop empty)"
    assert home.maildir.names() == []


def test_messages_with_odd_names_keep_their_uids_in_cur(lab, home):
    contents = {name: b"Subject: %d\n" % number for number, name in enumerate(ODD_NAMES)}
    home.maildir.add_all(contents)
    server = logged_in(lab, home)
    first = {uid: retrieve(server, number) for number, uid in server.listing("UIDL").items()}
    assert server.quit().startswith("+OK")
    assert home.maildir.names("new") == []
    server = logged_in(lab, home)
    second = {uid: retrieve(server, number) for number, uid in server.listing("UIDL").items()}
    assert second == first


def test_uid_is_the_unique_name_up_to_70_octets(lab, home):
    names = ["1.a", "2.b,S=12,W=13", "3.c:2,FS", "!", "~" * 70, "4.d=e,f+g'h\"i<j>"]
    for name in names:
        home.maildir.add(name, sub="cur")
    uids = logged_in(lab, home).listing("UIDL")
    assert sorted(uids.values()) == sorted(name.partition(":")[0] for name in names)


@pytest.mark.parametrize("length", [71, 72, 100, 254, 255])
def test_longer_unique_name_becomes_a_hash_that_stays(lab, home, length):
    names = ["n" * (length - 1) + end for end in "ab"]
    for name in names:
        home.maildir.add(name)
    uids = logged_in(lab, home).listing("UIDL")
    assert len(set(uids.values())) == 2
    assert all(VALID_UID.fullmatch(uid) and uid not in names for uid in uids.values())
    assert len({len(uid) for uid in uids.values()}) == 1
    assert logged_in(lab, home).listing("UIDL") == uids
    for name in names:
        shutil.move(home.maildir.at("new", name),
                    home.maildir.at("cur", name + ":2,S" if length < 252 else name))
    assert logged_in(lab, home).listing("UIDL") == uids


def test_one_unique_name_in_new_and_cur_is_two_messages(lab, home):
    box = home.maildir
    box.add("1.twin", b"in new\n", "new")
    box.add("1.twin:2,S", b"in cur\n", "cur")
    box.add("1.twin:2,F", b"in cur, too\n", "cur")
    server = logged_in(lab, home)
    uids = server.listing("UIDL")
    assert len(uids) == 3 and len(set(uids.values())) == 3
    by_uid = {uid: retrieve(server, number) for number, uid in uids.items()}
    assert sorted(by_uid.values()) == [b"in cur\r\n", b"in cur, too\r\n", b"in new\r\n"]
    before = box.contents()
    assert server.quit().startswith("+OK")
    assert box.contents() == before, "one message overwrote another"
    server = logged_in(lab, home)
    again = {uid: retrieve(server, number) for number, uid in server.listing("UIDL").items()}
    assert again == by_uid


@pytest.mark.parametrize("victim", [b"in new\r\n", b"in cur\r\n"])
def test_dele_of_one_twin_removes_that_one(lab, home, victim):
    home.maildir.add("1.twin", b"in new\n", "new")
    home.maildir.add("1.twin:2,S", b"in cur\n", "cur")
    server = logged_in(lab, home)
    number = next(n for n in (1, 2) if retrieve(server, n) == victim)
    server.ask(f"DELE {number}")
    assert server.quit() == f"+OK {HOST} POP3 server signing off (1 message left)"
    left = [content for content, _ in home.maildir.contents()]
    assert left == [{b"in new\r\n": b"in cur\n", b"in cur\r\n": b"in new\n"}[victim]]


def test_one_file_under_one_unique_name_in_new_and_cur_is_one_message(lab, home):
    """As after a crash between link and unlink."""
    path = home.maildir.add("1.linked", b"once\n", "new")
    os.link(path, home.maildir.at("cur", "1.linked:2,"))
    server = logged_in(lab, home)
    assert server.listing("UIDL") == {1: "1.linked"}
    assert retrieve(server, 1) == b"once\r\n"
    server.ask("DELE 1")
    assert server.quit().startswith("+OK")
    assert home.maildir.names() == [], "a deleted message is still there"


def test_one_file_under_two_unique_names_is_two_messages(lab, home):
    os.link(home.maildir.add("1.a", b"copy\n"), home.maildir.at("new", "2.b"))
    server = logged_in(lab, home)
    assert server.listing("UIDL") == {1: "1.a", 2: "2.b"}
    server.ask("DELE 1")
    server.quit()
    assert home.maildir.names() == [b"cur/2.b:2,"]


# -- order

ORDER = ["Aname.without.time", "nodot", "x.1.y", "0.M1.h", "9.M1.h", "9.M2.h", "9.M10.h",
         "10.P1.h", "10.aaaa", "10.M0.h,W=20", "10.M000001.h", "10.P3M2.h", "10.M2.h",
         "1000000000.M999999P1.h", "1000000001.M1P1.h", "4294967296.a.h", "4294967297.a.h",
         "99999999999.a.h"]


def sorting_key(name):
    """Seconds, microseconds, name. Names without a time have time 0."""
    found = re.match(r"(\d+)\.([^.]*)", name)
    if not found:
        return (0, 0, name)
    micro = re.search(r"M(\d+)", found[2])
    return (int(found[1]), int(micro[1]) if micro else 0, name)


def test_order_is_delivery_time_then_microseconds_then_name(lab, home):
    names = list(ORDER)
    random.Random(5).shuffle(names)
    for number, name in enumerate(names):
        if number % 2:
            home.maildir.add(name + ":2,S", sub="cur", mtime=2000000000 - number)
        else:
            home.maildir.add(name, mtime=1000000000 + number)
    uids = logged_in(lab, home).listing("UIDL")
    assert [uids[n] for n in sorted(uids)] == sorted(ORDER, key=sorting_key)


def test_order_does_not_change_with_place_flags_or_mtime(lab, home):
    names = [f"{seconds}.M{micro}.h" for seconds in (9, 10, 11) for micro in (1, 5, 20)]
    for name in names:
        home.maildir.add(name)
    first = logged_in(lab, home).listing("UIDL")
    assert [first[n] for n in sorted(first)] == names
    for number, name in enumerate(names):
        if number % 3:
            os.rename(home.maildir.at("new", name), home.maildir.at("cur", name + ":2,RS"))
            os.utime(home.maildir.at("cur", name + ":2,RS"), (number, number))
    assert logged_in(lab, home).listing("UIDL") == first


# -- other processes during the session

def move(box, old, new):
    os.rename(box.at(*old.split("/")), box.at(*new.split("/")))


def test_snapshot_is_fixed_at_login(lab, home):
    home.maildir.add("2.b", b"old\n")
    server = logged_in(lab, home)
    home.maildir.add("1.a", b"later\n")
    home.maildir.add("3.c:2,", b"later\n", "cur")
    assert server.ask("STAT") == "+OK 1 5"
    assert server.listing("UIDL") == {1: "2.b"}
    assert retrieve(server, 1) == b"old\r\n"
    server.ask("DELE 1")
    assert server.quit() == f"+OK {HOST} POP3 server signing off (maildrop empty)"
    assert home.maildir.names() == [b"cur/3.c:2,", b"new/1.a"], "mail of the next session was touched"


def test_retr_finds_a_message_that_was_moved_and_flagged(lab, home):
    box = home.maildir
    for name in ("1.a", "2.b", "3.c"):
        box.add(name, name.encode() + b"\n")
    server = logged_in(lab, home)
    move(box, "new/1.a", "cur/1.a:2,")
    move(box, "new/2.b", "cur/2.b:2,F")
    assert retrieve(server, 2) == b"2.b\r\n"
    assert retrieve(server, 1) == b"1.a\r\n"
    for flags in ("S", "RS", "", "FRST"):
        name = os.path.basename(os.fsdecode(box.names("cur")[0]))
        move(box, f"cur/{name}", f"cur/1.a:2,{flags}")
        assert retrieve(server, 1) == b"1.a\r\n"
        assert server.ask_multi("TOP 1 0")[1] == b"1.a\r\n"
    assert server.quit().startswith("+OK")
    assert box.names() == [b"cur/1.a:2,FRST", b"cur/2.b:2,FS", b"cur/3.c:2,"]


def test_retrieved_message_is_flagged_though_it_moved_since(lab, home):
    home.maildir.add("1.a")
    server = logged_in(lab, home)
    retrieve(server, 1)
    move(home.maildir, "new/1.a", "cur/1.a:2,F")
    assert server.quit().startswith("+OK")
    assert home.maildir.names() == [b"cur/1.a:2,FS"]


@pytest.mark.parametrize("moved", ["before_dele", "after_dele"])
def test_dele_removes_a_message_that_was_moved(lab, home, moved):
    home.maildir.add("1.a")
    home.maildir.add("2.b")
    server = logged_in(lab, home)
    if moved == "before_dele":
        move(home.maildir, "new/1.a", "cur/1.a:2,RS")
    assert server.ask("DELE 1").startswith("+OK")
    if moved == "after_dele":
        move(home.maildir, "new/1.a", "cur/1.a:2,RS")
    assert server.quit() == f"+OK {HOST} POP3 server signing off (1 message left)"
    assert home.maildir.names() == [b"cur/2.b:2,"]


def test_message_that_is_gone_is_an_error_and_the_session_goes_on(lab, home):
    for name in ("1.a", "2.b", "3.c"):
        home.maildir.add(name, b"text\n")
    server = logged_in(lab, home)
    os.remove(home.maildir.at("new", "2.b"))
    assert server.ask("RETR 2").startswith("-ERR")
    assert server.ask("TOP 2 0").startswith("-ERR")
    assert server.ask("STAT") == "+OK 3 18"
    assert retrieve(server, 3) == b"text\r\n"
    assert server.quit().startswith("+OK")
    assert home.maildir.names() == [b"cur/1.a:2,", b"cur/3.c:2,S"]


def test_dele_of_a_message_that_another_removes_is_no_failure(lab, home):
    home.maildir.add("1.a")
    server = logged_in(lab, home)
    assert server.ask("DELE 1").startswith("+OK")
    os.remove(home.maildir.at("new", "1.a"))
    assert server.quit().startswith("+OK")


def test_two_sessions_delete_at_once(lab, home):
    for number in range(1, 21):
        home.maildir.add(f"{number}.m", b"%d\n" % number)
    servers = [logged_in(lab, home), logged_in(lab, home)]
    for server, numbers in zip(servers, (range(1, 16), range(10, 20))):
        for number in numbers:
            assert server.ask(f"DELE {number}") == f"+OK message {number} deleted"
    for server in servers:
        server.send(b"QUIT\r\n")
    for server, left in zip(servers, ("5 messages", "10 messages")):
        assert server.line() == f"+OK {HOST} POP3 server signing off ({left} left)"
        server.ended()
    assert home.maildir.names() == [b"cur/20.m:2,"]


# -- many messages

def test_ten_thousand_messages_are_listed_complete_sorted_unique(lab, home):
    names = [f"{1000000000 + n // 3}.M{n % 3}P{n}.h,W={n + 1}" for n in range(10000)]
    shuffled = list(names)
    random.Random(9).shuffle(shuffled)
    for number, name in enumerate(shuffled):
        home.maildir.add(name + ":2,S" * (number % 2), b"", "cur" if number % 2 else "new")
    server = logged_in(lab, home)
    assert server.ask("STAT") == f"+OK 10000 {sum(range(1, 10001))}"
    assert server.listing("UIDL") == dict(enumerate(names, 1))
    assert server.listing("LIST") == {n: str(n) for n in range(1, 10001)}


def opened(lab, home, trace_file, *options):
    server = lab.session(home, *options, uid=None,
                         wrapper=["strace", "-f", "-qq", "-e", "trace=open,openat,openat2", "-o",
                                  trace_file])
    first = server.line()
    with open(trace_file, encoding="latin-1") as file:
        trace = file.read()
    server.quit()
    return first, trace


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_login_opens_no_message_whose_size_is_in_its_name(lab, home):
    for number in range(200):
        home.maildir.add(f"{number}.sized,W=20", b"Subject: x\n\ntext\n")
    home.maildir.add("300.unsized", b"x\n")
    trace_file = os.path.join(home.path, "trace")
    options = ["--allow-root"] if ROOT else []
    first, trace = opened(lab, home, trace_file, *options)
    assert first == f"+OK 201 messages ({200 * 20 + 3} octets)"
    if "new" not in trace or harness.hides_names(trace):
        pytest.skip("strace may not trace here")
    assert "300.unsized" in trace, trace[-2000:]
    assert ".sized,W=" not in trace, trace[-2000:]
