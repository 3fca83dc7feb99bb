"""Errors of the file system, which pass or stay: none hides a message, or is answered wrongly."""
import errno
import os
import platform
import re
import shutil
import subprocess
import time

import pytest

from harness import HOST, ROOT, retry_until

MESSAGES = 9
SUPPORT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support")
NAMES = errno.errorcode.get


@pytest.fixture(scope="module")
def inject(programs):
    """Gives the wrapper that makes calls of a session fail; see inject.c."""
    if platform.machine() != "x86_64":
        pytest.skip("inject.c knows the registers of x86-64 only")
    path = os.path.join(programs.directory, "bin", "inject")
    subprocess.run([os.environ.get("CC", "cc"), "-O2", "-D_GNU_SOURCE", "-o", path,
                    os.path.join(SUPPORT, "inject.c")], check=True)

    def wrapper(call, first, last, error):
        return [path, call, str(first), str(last), str(error)]
    return wrapper


def rest(home):
    """Nothing has changed for long: an index of now is final."""
    for sub in ("new", "cur"):
        os.utime(home.maildir.at(sub), (1000000000, 1000000000))
    time.sleep(0.06)


def fill(home, fields="", count=MESSAGES):
    for n in range(1, count + 1):
        home.maildir.add(f"{1000000000 + n}.M{n}P1.host{fields}:2,S", b"x" * n + b"\n", "cur")
    rest(home)


def count(lab, home, *options, end="QUIT", **how):
    """How many messages a session has, None if there is no session; and the session."""
    server = lab.session(home, *options, **how)
    first = server.line()
    if first is None or not first.startswith("+OK"):
        server.ended()
        return None, server
    found = int(server.ask("STAT").split()[1])
    if end == "QUIT":
        server.quit()
    else:
        server.shutdown()
    server.ended()
    return found, server


# -- errors that pass

@pytest.mark.parametrize("error", [errno.ESTALE, errno.ENOENT], ids=NAMES)
@pytest.mark.parametrize("call", ["openat", "fstat"])
def test_error_that_passes_hides_no_message(lab, home, inject, call, error):
    """Each call in turn, while sizes are counted; then a session that nothing disturbs."""
    fill(home)
    for number in range(4, 30):
        shutil.rmtree(home.maildir.at("pop3d"), ignore_errors=True)
        disturbed, server = count(lab, home, wrapper=inject(call, number, number, error))
        assert disturbed in (None, MESSAGES), f"{call} {number}: {server.report()}"
        found, server = count(lab, home)
        assert found == MESSAGES, f"{call} {number}: {server.report()}"


def test_message_that_could_not_be_opened_stays_in_the_list_and_is_logged(lab, home, inject):
    fill(home)
    for number in range(5, 25):  # As often as a message is looked for, from some message on.
        shutil.rmtree(home.maildir.at("pop3d"), ignore_errors=True)
        found, server = count(lab, home,
                              wrapper=inject("openat", number, number + 4, errno.ESTALE))
        if "message-unreadable errno=116" in server.log():
            break
    else:
        pytest.fail("no message was unreadable")
    assert found == MESSAGES
    found, server = count(lab, home)
    assert found == MESSAGES
    assert "message-unreadable" not in server.log()


@pytest.mark.parametrize("error", [errno.ESTALE, errno.ENOENT], ids=NAMES)
def test_error_that_passes_hides_no_file_of_one_unique_name(lab, home, inject, error):
    home.maildir.add("1.a,W=3:2,S", b"a\n", "cur")
    home.maildir.add("1.a,W=3:2,F", b"b\n", "cur")
    home.maildir.add("1.a,W=3", b"c\n", "new")
    for number in range(1, 10):
        found, server = count(lab, home, "--no-index", end="EOF",
                              wrapper=inject("newfstatat", number, number, error))
        assert found in (None, 3), f"{number}: {server.report()}"
        assert count(lab, home, "--no-index", end="EOF")[0] == 3


@pytest.mark.parametrize("error", [errno.ESTALE, errno.ENOENT], ids=NAMES)
def test_removal_that_fails_once_is_tried_again(lab, home, inject, error):
    fill(home)
    server = lab.session(home, "--no-index", wrapper=inject("unlinkat", 2, 2, error))
    assert server.line().startswith("+OK")
    for number in (1, 2, 3):
        server.ask(f"DELE {number}")
    assert server.quit() == f"+OK {HOST} POP3 server signing off (6 messages left)"
    assert len(home.maildir.names("cur")) == 6


@pytest.mark.parametrize("error", [errno.ESTALE, errno.ENOENT], ids=NAMES)
def test_removal_that_always_fails_is_told(lab, home, inject, error):
    """What the directories still have was removed by nobody."""
    fill(home)
    server = lab.session(home, "--no-index", wrapper=inject("unlinkat", 1, 99, error))
    assert server.line().startswith("+OK")
    server.ask("DELE 1")
    assert server.quit() == "-ERR [SYS/TEMP] 1 deleted message not removed, 9 left"
    assert len(home.maildir.names("cur")) == 9


# -- errors that stay

@pytest.mark.parametrize("command", ["RETR", "TOP"])
@pytest.mark.parametrize("fields", ["", ",W={0}"], ids=["counted", "named"])
def test_message_that_cannot_be_read_blocks_no_other(lab, home, inject, command, fields):
    """Its size is known, and reading fails: the reply is -ERR, and the next message comes."""
    for n in range(1, MESSAGES + 1):
        home.maildir.add(f"{1000000000 + n}.M{n}{fields.format(n + 2)}:2,S", b"x" * n + b"\n",
                         "cur")
    rest(home)
    count(lab, home)
    end = " 0" if command == "TOP" else ""
    for number in range(1, 40):  # Calls before are those of the start, and of the commands.
        server = lab.session(home, wrapper=inject("read", number, number, errno.EIO))
        first = server.line()
        if first is None or not first.startswith("+OK"):
            continue
        reply = server.ask(f"{command} 1{end}")
        if reply is not None and reply.startswith("-ERR"):
            assert reply == "-ERR [SYS/TEMP] message 1 cannot be read", server.report()
            assert server.ask_multi(f"{command} 2{end}")[0].startswith("+OK"), server.report()
            server.quit()
            assert "message-unreadable errno=5" in server.log()
            return
        server.shutdown()
        server.ended()
    pytest.fail("no read of the message was met")


@pytest.mark.parametrize("command", ["RETR 1", "TOP 1 0"])
def test_handle_that_stays_stale_does_not_say_that_another_program_removed_it(
        lab, home, inject, command):
    fill(home, ",W=99")
    for number in range(4, 25):
        server = lab.session(home, "--no-index",
                             wrapper=inject("openat", number, 999, errno.ESTALE))
        first = server.line()
        if first is not None and first.startswith("+OK"):
            break
        server.ended()
    assert server.ask(command) == "-ERR [SYS/TEMP] message 1 cannot be read"
    server.quit()
    assert "message-unreadable errno=116" in server.log()


def test_log_of_unreadable_messages_is_bounded(lab, home):
    if not ROOT:
        pytest.skip("files of others can be made by root only")
    fill(home, count=500)
    for name in home.maildir.names("cur"):
        os.chmod(home.maildir.at(name), 0)
    server = lab.session(home, "--no-index")
    assert server.line().startswith("+OK 500 messages")
    for number in range(1, 101):
        assert server.ask(f"RETR {number}").startswith("-ERR [SYS/TEMP]")
    server.quit()
    log = server.log()
    assert log.count("message-unreadable") == 20
    assert re.search(r"problems-not-logged count=580\b", log), log[-400:]


# -- sizes

@pytest.mark.parametrize("length", [30, 70000, 200000])
def test_size_of_a_message_that_was_replaced_is_true_in_retr(lab, home, length):
    """The index has the size of the file that had this name before."""
    home.maildir.add("1.a:2,S", b"x" * 11 + b"\n", "cur")
    rest(home)
    count(lab, home)
    with open(home.maildir.at("cur", "1.a:2,S"), "r+b") as file:
        file.write(b"y" * 68 + b"\n" + b"z" * length + b"\n")
    server = lab.session(home)
    server.line()
    reply, body = server.ask_multi("RETR 1")
    sent = len(body)
    assert reply == f"+OK {sent} octets"
    assert server.ask("LIST 1") == f"+OK 1 {sent}"
    server.quit()
    assert "size-wrong said=13" in server.log()


@pytest.mark.parametrize("replaced", [False, True])
def test_large_message_that_changed_after_the_index_is_counted_again(lab, home, replaced):
    """The file has the length that was counted, and other line ends."""
    path = home.maildir.at("cur", "1.a:2,S")
    home.maildir.add("1.a:2,S", b"x" * 100000 + b"\n", "cur")
    rest(home)
    count(lab, home)
    rest(home)
    with open(path + b".other" if replaced else path, "wb") as file:
        file.write(b"y\n" * 50000 + b"\n")
    if replaced:
        os.rename(path + b".other", path)
    for turn in range(2):
        server = lab.session(home)
        server.line()
        assert server.ask("LIST 1") == f"+OK 1 {(100002, 150002)[turn]}"
        reply, body = server.ask_multi("RETR 1")
        assert reply == f"+OK {len(body)} octets"
        assert len(body) == 150002
        assert server.ask("LIST 1") == "+OK 1 150002"
        server.quit()
        server.ended()
        assert ("size-wrong said=100002 is=150002" in server.log()) == (turn == 0)


def test_large_message_whose_length_is_not_that_of_its_name_is_counted_again(lab, home):
    """The file could still have the size of the index, but it is another one than was counted."""
    home.maildir.add("1.a,S=100001:2,S", b"x" * 100000 + b"\n", "cur")
    rest(home)
    count(lab, home)
    with open(home.maildir.at("cur", "1.a,S=100001:2,S"), "wb") as file:
        file.write(b"y\n" * 50000)
    server = lab.session(home)
    server.line()
    assert server.ask("LIST 1") == "+OK 1 100002"
    reply, body = server.ask_multi("RETR 1")
    assert reply == f"+OK {len(body)} octets"
    assert server.ask("LIST 1") == f"+OK 1 {len(body)}"
    server.quit()
    assert "size-wrong said=100002 is=150000" in server.log()


def test_message_without_a_final_line_end_has_its_true_size_after_retr(lab, home):
    """dovecot-lda writes a ,W= that is two too small for such a message."""
    home.maildir.add("1.a,S=3,W=3:2,", b"abc", "cur")
    server = lab.session(home)
    server.line()
    assert server.ask("LIST 1") == "+OK 1 3"
    assert server.ask_multi("RETR 1")[0] == "+OK 5 octets"
    assert server.ask("LIST 1") == "+OK 1 5"
    server.quit()


def test_names_that_claim_more_than_there_can_be_are_not_believed(lab, home):
    """Sums of a million such names would wrap; these are more than any maildrop has already."""
    for n in range((1 << 16) + 1):
        os.mknod(home.maildir.at("cur", f"{n}.a,W={1 << 44}:2,"), 0o100644)
    server = lab.session(home)
    assert server.line(60) == "+OK 65537 messages (0 octets)"
    server.quit()


# -- marks

@pytest.mark.parametrize("messages", [1, 63, 64, 65, 127, 128])
def test_rset_keeps_the_marks_of_what_was_retrieved(lab, home, messages):
    for n in range(messages):
        home.maildir.add(f"{n}.a,W=3", b"x\n")
    server = lab.session(home)
    server.line()
    server.ask_multi("RETR 1")
    server.ask(f"DELE {messages}")
    server.ask("RSET")
    server.quit()
    assert [name for name in home.maildir.names("cur") if name.endswith(b"S")] == \
        [b"cur/0.a,W=3:2,S"]
    assert len(home.maildir.names("cur")) == messages


# -- the update, and signals

def test_signal_in_the_update_ends_the_session_after_it(lab, home, inject):
    fill(home, ",S=7", 50)
    home.maildir.add("9.quota", b"", "tmp")
    with open(home.maildir.at("maildirsize"), "wb") as file:
        file.write(b"1000000S\n1000 50\n")
    os.chmod(home.maildir.at("maildirsize"), 0o666)
    server = lab.session(home, "--no-index", wrapper=inject("unlinkat", 10, 0, "signal"))
    server.line()
    for number in range(1, 41):
        server.ask(f"DELE {number}")
    assert server.quit() == f"+OK {HOST} POP3 server signing off (10 messages left)"
    assert len(home.maildir.names("cur")) == 10
    assert "dele=40/" in server.log(), server.report()
    with open(home.maildir.at("maildirsize"), "rb") as file:
        assert file.read() == b"1000000S\n1000 50\n-280 -40\n"


# -- several files with one unique name

def test_twins_keep_their_unique_ids_over_sessions(lab, home):
    """A message, and a copy of it from a backup with other flags."""
    os.utime(home.maildir.add("1000000000.M1P1.host:2,S", b"first\n", "cur"), (10**9, 10**9))
    home.maildir.add("1000000000.M1P1.host:2,", b"copy\n", "cur")
    inode = os.stat(home.maildir.at("cur", "1000000000.M1P1.host:2,")).st_ino
    uids = {1: "1000000000.M1P1.host", 2: f"1000000000.M1P1.host-i{inode:x}"}
    for end in ("EOF", "EOF", "QUIT", "QUIT"):
        server = lab.session(home)
        server.line()
        assert server.listing("UIDL") == uids
        assert server.ask_multi("RETR 2")[1] == b"copy\r\n"
        if end == "QUIT":
            server.quit()
        else:
            server.shutdown()
        server.ended()
    assert home.maildir.names("cur") == [
        b"cur/1000000000.M1P1.host-i%x:2,S" % inode, b"cur/1000000000.M1P1.host:2,S"]
    server = lab.session(home)
    server.line()
    server.ask("DELE 1")
    server.quit()
    server = lab.session(home)
    server.line()
    assert server.listing("UIDL") == {1: uids[2]}
    server.quit()


def test_unique_id_of_a_twin_stays_when_the_other_is_removed_at_once(lab, home):
    os.utime(home.maildir.add("1.a:2,S", b"first\n", "cur"), (10**9, 10**9))
    home.maildir.add("1.a", b"copy\n", "new")
    server = lab.session(home)
    server.line()
    uid = server.ask("UIDL 2").split()[2]
    server.ask("DELE 1")
    server.quit()
    server = lab.session(home)
    server.line()
    assert server.ask("UIDL 1") == f"+OK 1 {uid}"
    server.quit()


# -- fields that another program changes in mid-session

def test_message_whose_fields_change_is_read_and_removed(lab, home):
    home.maildir.add("1000000000.M1P1.host,S=99,W=99:2,S", b"text\n", "cur")
    server = lab.session(home)
    server.line()
    os.rename(home.maildir.at("cur", "1000000000.M1P1.host,S=99,W=99:2,S"),
              home.maildir.at("cur", "1000000000.M1P1.host:2,S"))
    assert server.ask_multi("RETR 1")[1] == b"text\r\n"
    server.ask("DELE 1")
    assert server.quit() == f"+OK {HOST} POP3 server signing off (maildrop empty)"
    assert home.maildir.names() == []


def test_message_in_doubt_is_kept_and_told(lab, home):
    home.maildir.add("1000000000.M1P1.host,S=99:2,S", b"text\n", "cur")
    server = lab.session(home)
    server.line()
    os.rename(home.maildir.at("cur", "1000000000.M1P1.host,S=99:2,S"),
              home.maildir.at("cur", "1000000000.M1P1.host:2,S"))
    home.maildir.add("1000000000.M1P1.host,S=5:2,S", b"other\n", "cur")
    server.ask("DELE 1")
    assert server.quit() == "-ERR [SYS/TEMP] 1 deleted message not removed, 1 left"
    assert len(home.maildir.names()) == 2


# -- the time that a directory had before

def test_mail_is_seen_though_a_program_set_the_time_back_twice(lab, home):
    """With a login between; and the time of modification is the same each time."""
    for n in range(120):
        home.maildir.add(f"{1000000000 + n}.M1P1.host,W=3:2,S", b"x\n", "cur")
    rest(home)
    for n in range(3):
        home.maildir.add(f"{1100000000 + n}.M1P1.host,W=3:2,S", b"x\n", "cur")
        os.utime(home.maildir.at("cur"), (1000000000, 1000000000))
        assert count(lab, home)[0] == 121 + n


# -- the lock where its file cannot be made

def lock_pair(lab, home):
    first = lab.session(home, "--lock")
    assert first.line().startswith("+OK"), first.report()
    second = lab.session(home, "--lock")
    assert second.line().startswith("-ERR [IN-USE]"), second.report()
    second.ended()
    return first


def test_lock_is_had_where_its_file_cannot_be_made(lab, home):
    home.maildir.add("1.a,W=3", b"a\n")
    os.chmod(home.maildir.path, 0o555)
    first = lock_pair(lab, home)
    first.ask("DELE 1")
    assert first.quit().startswith("+OK")
    assert home.maildir.names() == []
    assert not os.path.exists(home.maildir.at("pop3d.lock"))


def test_session_with_the_file_and_one_without_keep_each_other_out(lab, home):
    os.chmod(home.maildir.path, 0o555)
    first = lab.session(home, "--lock")
    assert first.line().startswith("+OK")
    os.chmod(home.maildir.path, 0o755)
    second = lab.session(home, "--lock")
    assert second.line().startswith("-ERR [IN-USE]")
    first.quit()
    assert lock_pair(lab, home).quit().startswith("+OK")
    assert os.path.exists(home.maildir.at("pop3d.lock"))
    assert retry_until(lambda: not lab.stray())
