"""The UPDATE state: what QUIT changes in a Maildir, and what nothing ever changes."""
import os
import time

import pytest

import harness
from harness import HOST, MAIL_UID, logged_in

HOUR = 3600


def session(lab, home, *commands):
    """A session with these commands and QUIT. Returns the reply to QUIT."""
    server = logged_in(lab, home)
    for command in commands:
        ask = server.ask_multi if command.startswith(("RETR", "TOP")) else server.ask
        assert "+OK" in str(ask(command))
    return server.quit()


def farewell(left):
    return f"+OK {HOST} POP3 server signing off ({left})"


# -- new to cur, and flags

def test_quit_moves_new_to_cur_and_flags_what_was_retrieved(lab, home):
    for name in ("1.a", "2.b", "3.c", "4.d"):
        home.maildir.add(name)
    assert session(lab, home, "RETR 2", "TOP 3 100", "LIST 4") == farewell("4 messages left")
    assert home.maildir.names() == [b"cur/1.a:2,", b"cur/2.b:2,S", b"cur/3.c:2,", b"cur/4.d:2,"]


FLAGS = {"2,": "2,S", "2,S": "2,S", "2,F": "2,FS", "2,RT": "2,RST", "2,T": "2,ST", "2,R": "2,RS",
         "2,DFPR": "2,DFPRS", "2,DFPRST": "2,DFPRST", "2,DFPRT": "2,DFPRST", "2,ab": "2,Sab",
         "2,Fab": "2,FSab", "1,": "1,", "1,x": "1,x", "3,F": "3,F", "": "", "2": "2"}


@pytest.mark.parametrize("sub", ["cur", "new"])
@pytest.mark.parametrize("before", FLAGS)
def test_retr_adds_the_flag_s_and_keeps_the_others(lab, home, before, sub):
    home.maildir.add(f"1.a:{before}", sub=sub)
    session(lab, home, "RETR 1")
    assert home.maildir.names() == [os.fsencode(f"cur/1.a:{FLAGS[before]}")]


@pytest.mark.parametrize("before", FLAGS)
def test_flags_of_messages_that_were_not_retrieved_stay(lab, home, before):
    home.maildir.add(f"1.a:{before}", sub="cur")
    session(lab, home, "TOP 1 9", "STAT")
    assert home.maildir.names() == [os.fsencode(f"cur/1.a:{before}")]


def test_retrieved_message_without_info_in_cur_is_flagged(lab, home):
    home.maildir.add("1.a", sub="cur")
    session(lab, home, "RETR 1")
    assert home.maildir.names() == [b"cur/1.a:2,S"]


def test_message_retrieved_and_undeleted_by_rset_stays_and_is_flagged(lab, home):
    home.maildir.add("1.a")
    assert session(lab, home, "RETR 1", "DELE 1", "RSET") == farewell("1 message left")
    assert home.maildir.names() == [b"cur/1.a:2,S"]


@pytest.mark.parametrize("length", [250, 251, 252, 253, 254, 255])
def test_message_whose_name_has_no_room_for_flags_is_kept(lab, home, length):
    home.maildir.add("n" * length, b"text\n")
    before = home.maildir.contents()
    assert session(lab, home, "RETR 1") == farewell("1 message left")
    assert home.maildir.contents() == before
    assert session(lab, home, "RETR 1", "DELE 1") == farewell("maildrop empty")
    assert home.maildir.names() == []


@pytest.mark.parametrize("taken", ["1.a:2,", "1.a:2,S"])
def test_quit_never_replaces_a_file(lab, home, taken):
    """During the session another file gets the very name that QUIT will want to use."""
    home.maildir.add("1.a", b"the message\n")
    server = logged_in(lab, home)
    server.ask_multi("RETR 1")
    home.maildir.add(taken, b"another message\n", "cur")
    before = home.maildir.contents()
    server.quit()
    assert home.maildir.contents() == before


def test_session_that_ends_without_quit_changes_nothing(lab, home):
    home.add_seeds()
    home.maildir.add("1.old:2,", b"old\n", "cur")
    before = home.maildir.state()
    server = logged_in(lab, home)
    for number in range(1, 6):
        server.ask_multi(f"RETR {number}")
        server.ask(f"DELE {number}")
    server.shutdown()
    assert server.rest() == b""
    server.ended()
    assert home.maildir.state() == before


def test_contents_and_times_of_messages_never_change(lab, home):
    for number in range(1, 9):
        home.maildir.add(f"{number}.a", b"text %d" % number, mtime=1000000000 + number)
        home.maildir.add(f"{number}.b:2,F", b"\r\ntext %d" % number, "cur", mtime=number)
    before = {content: (content, mtime) for content, mtime in home.maildir.contents()}
    server = logged_in(lab, home, "--verify-sizes")
    for number in range(1, 17, 2):
        server.ask_multi(f"RETR {number}")
        server.ask_multi(f"TOP {number} 0")
    server.ask("DELE 3")
    server.ask("DELE 16")
    assert server.quit() == farewell("14 messages left")
    after = home.maildir.contents()
    assert len(after) == 14
    assert all(before[content] == (content, mtime) for content, mtime in after)


# -- failures

@pytest.mark.parametrize("form", ["serve", "session"])
def test_read_only_maildir_at_quit_is_an_error_and_keeps_the_mail(lab, home, form):
    assert MAIL_UID != 0
    home.add_seeds()
    before = home.maildir.contents()
    server = lab.session(home) if form == "session" else lab.login(home)
    assert server.line() == "+OK 4 messages (2007 octets)"
    server.ask_multi("RETR 2")
    assert server.ask("DELE 1") == "+OK message 1 deleted"
    for sub in ("new", "cur"):
        os.chmod(home.maildir.at(sub), 0o555)
    reply = server.quit()
    assert reply.startswith("-ERR"), reply
    assert "4" in reply, "the reply does not say how many messages remain"
    assert home.maildir.contents() == before
    assert "errno=13" in server.log()


def test_what_can_be_removed_is_removed_though_other_removals_fail(lab, home):
    home.maildir.add("1.a", b"in new\n")
    home.maildir.add("2.b:2,", b"in cur\n", "cur")
    server = logged_in(lab, home)
    server.ask("DELE 1")
    server.ask("DELE 2")
    os.chmod(home.maildir.at("new"), 0o555)
    assert server.quit().startswith("-ERR")
    assert home.maildir.names() == [b"new/1.a"]


def test_read_only_maildir_can_be_read(lab, home):
    """Nothing was to be removed, so QUIT did not fail (RFC 1939 section 6); the log tells the
    rest, in one line."""
    home.add_seeds()
    for sub in ("new", "cur", "tmp", "."):
        os.chmod(home.maildir.at(sub), 0o555)
    server = logged_in(lab, home)
    assert server.ask_multi("RETR 4")[0] == "+OK 470 octets"
    assert server.ask("STAT") == "+OK 4 2007"
    assert server.quit() == farewell("4 messages left")
    assert server.ended() == 0
    assert len(home.maildir.names("new")) == 4
    assert server.log().count("update-failed errno=13") == 1
    assert "not-removed=0 not-moved=4" in server.log()


def test_one_message_that_cannot_be_removed_is_one_message(lab, home):
    home.maildir.add("1.a", b"a\n")
    server = logged_in(lab, home)
    server.ask("DELE 1")
    os.chmod(home.maildir.at("new"), 0o555)
    assert server.quit() == "-ERR [SYS/TEMP] 1 deleted message not removed, 1 left"


# -- tmp/

# hours since the last access and the last change, as programs that copy mail may set them; that a
# file goes whose time of change is old as well is in the unit tests, where that time can be made up
AGES = {"both_old": (37, 37), "accessed_lately": (1, 100), "changed_lately": (100, 1),
        "nearly_old": (35.5, 35.5), "very_old": (10000, 10000), "of_the_future": (-24, -24)}


@pytest.mark.parametrize("kind", AGES)
def test_file_in_tmp_that_was_made_lately_stays(lab, home, kind):
    accessed, changed = AGES[kind]
    path = home.maildir.add("1.tmp", b"half", "tmp")
    now = time.time()
    os.utime(path, (now - accessed * HOUR, now - changed * HOUR))
    session(lab, home, "STAT")
    assert os.path.exists(path)


def test_only_files_are_removed_from_tmp(lab, home):
    box = home.maildir
    os.mkfifo(box.at("tmp", "fifo"))
    os.mkdir(box.at("tmp", "directory"))
    os.symlink(os.path.join(home.path, "outside"), box.at("tmp", "link"))
    with open(os.path.join(home.path, "outside"), "wb") as file:
        file.write(b"not mail\n")
    old = time.time() - 100 * HOUR
    for path in (box.at("tmp", "fifo"), box.at("tmp", "directory"), box.at("tmp", "link"),
                 os.path.join(home.path, "outside")):
        os.utime(path, (old, old), follow_symlinks=False)
    session(lab, home, "STAT")
    assert sorted(os.listdir(box.at("tmp"))) == [b"directory", b"fifo", b"link"]
    assert os.path.exists(os.path.join(home.path, "outside"))


def test_missing_tmp_is_no_failure(lab, home):
    os.rmdir(home.maildir.at("tmp"))
    home.maildir.add("1.a")
    assert session(lab, home, "DELE 1") == farewell("maildrop empty")


# -- maildirsize

QUOTA = b"1000000S,100C\n5000 4\n"


def quota_of(home, content=QUOTA):
    path = home.maildir.at("maildirsize")
    with open(path, "wb") as file:
        file.write(content)
    harness.own(path)
    return path


def content_of(path):
    with open(path, "rb") as file:
        return file.read()


def test_quit_tells_maildirsize_what_it_removed(lab, home):
    home.maildir.add("1.a", b"a" * 100 + b"\n")
    home.maildir.add("2.b,S=200,W=203", b"b" * 200)
    home.maildir.add("3.c:2,S", b"\n" * 50, "cur")
    path = quota_of(home)
    assert session(lab, home, "DELE 1", "DELE 2") == farewell("1 message left")
    assert content_of(path) == QUOTA + b"-301 -2\n"
    session(lab, home, "DELE 1")
    assert content_of(path) == QUOTA + b"-301 -2\n-50 -1\n"


@pytest.mark.parametrize("options", [[], ["--no-index"]])
def test_maildirsize_that_may_not_grow_does_not_kill_the_session(lab, home, options):
    home.maildir.add("1.a,S=5,W=6", b"text\n")
    path = quota_of(home)
    server = lab.session(home, *options, wrapper=["prlimit", "--fsize=1", "--"])
    server.line()
    assert server.ask("DELE 1").startswith("+OK")
    assert server.quit().startswith("+OK")
    server.ended()
    assert home.maildir.names() == []
    assert content_of(path) == QUOTA


@pytest.mark.parametrize("commands", [[], ["RETR 1"], ["DELE 1", "RSET"]])
def test_maildirsize_stays_where_nothing_was_removed(lab, home, commands):
    home.maildir.add("1.a")
    path = quota_of(home)
    session(lab, home, *commands)
    assert content_of(path) == QUOTA


def test_maildirsize_is_not_created(lab, home):
    home.maildir.add("1.a")
    session(lab, home, "DELE 1")
    assert b"maildirsize" not in os.listdir(home.maildir.path)


@pytest.mark.parametrize("kind", ["link", "fifo", "directory"])
def test_maildirsize_that_is_no_file_is_left_alone(lab, home, kind):
    home.maildir.add("1.a")
    outside = os.path.join(home.path, "outside")
    with open(outside, "wb") as file:
        file.write(QUOTA)
    harness.own(outside)
    path = home.maildir.at("maildirsize")
    {"link": lambda: os.symlink(outside, path), "fifo": lambda: os.mkfifo(path),
     "directory": lambda: os.mkdir(path)}[kind]()
    assert session(lab, home, "DELE 1") == farewell("maildrop empty")
    assert content_of(outside) == QUOTA
    assert home.maildir.names() == []


def test_maildirsize_counts_only_what_could_be_removed(lab, home):
    home.maildir.add("1.a", b"in new\n")
    home.maildir.add("2.b:2,", b"in cur, longer\n", "cur")
    path = quota_of(home)
    server = logged_in(lab, home)
    server.ask("DELE 1")
    server.ask("DELE 2")
    os.chmod(home.maildir.at("new"), 0o555)
    assert server.quit().startswith("-ERR")
    assert content_of(path) == QUOTA + b"-15 -1\n"
