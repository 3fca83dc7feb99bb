"""--delete-to: deleted messages go to a folder of Maildir++, and none is lost on the way."""
import os
import shutil
import stat

import pytest

import harness
from harness import HOST, ROOT

TRASH = ".Trash"
LEFT = f"+OK {HOST} POP3 server signing off"


def session(lab, home, *commands, options=("--delete-to", "Trash"), before_quit=lambda: None):
    """A session with these commands and QUIT. Returns the reply to QUIT and the log."""
    server = lab.session(home, *options)
    assert server.line().startswith("+OK"), server.report()
    for command in commands:
        ask = server.ask_multi if command.startswith(("RETR", "TOP")) else server.ask
        assert "+OK" in str(ask(command)), server.report()
    before_quit()
    reply = server.quit()
    return reply, server.log()


def folder(home, name=TRASH):
    """The messages of the folder, by name."""
    found = {}
    for sub in ("new", "cur"):
        for each in os.listdir(home.maildir.at(name, sub)):
            with open(home.maildir.at(name, sub, each), "rb") as file:
                found[f"{sub}/{os.fsdecode(each)}"] = file.read()
    return found


def make_folder(home, *messages, name=TRASH):
    os.mkdir(home.maildir.at(name))
    for sub in ("tmp", "new", "cur"):
        os.mkdir(home.maildir.at(name, sub))
        harness.own(home.maildir.at(name, sub))
    harness.own(home.maildir.at(name))
    for each in messages:
        home.maildir.add(each, b"of before\n", sub=f"{name}/cur")


def test_deleted_messages_go_to_the_folder_with_their_flags(lab, home):
    home.maildir.add("1.a", b"one\n")
    home.maildir.add("2.b", b"two\n")
    home.maildir.add("3.c:2,F", b"three\n", sub="cur")
    home.maildir.add("4.d:2,RT", b"four\n", sub="cur")
    home.maildir.add("5.e", b"five\n", sub="cur")
    home.maildir.add("6.f", b"six\n")
    reply, log = session(lab, home, "RETR 2", "RETR 3", *(f"DELE {i}" for i in range(1, 6)))
    assert reply == f"{LEFT} (1 message left)"
    assert " dele=5/29 kept=1 " in log
    assert home.maildir.names() == [b"cur/6.f:2,"]
    assert folder(home) == {"cur/1.a:2,": b"one\n", "cur/2.b:2,S": b"two\n",
                            "cur/3.c:2,FS": b"three\n", "cur/4.d:2,RT": b"four\n",
                            "cur/5.e": b"five\n"}


def test_folder_is_made_at_login_as_maildir_plus_plus_has_them(lab, home):
    session(lab, home)
    made = home.maildir.at(TRASH)
    assert sorted(os.listdir(made)) == [b"cur", b"maildirfolder", b"new", b"tmp"]
    assert stat.S_IMODE(os.stat(made).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(os.path.join(made, b"cur")).st_mode) == 0o700
    mark = os.stat(os.path.join(made, b"maildirfolder"))
    assert stat.S_ISREG(mark.st_mode) and mark.st_size == 0
    before = home.maildir.state()
    session(lab, home)
    assert home.maildir.state() == before


@pytest.mark.parametrize("there", [[], ["tmp"], ["tmp", "new", "maildirfolder"]])
def test_folder_whose_making_was_interrupted_is_completed(lab, home, there):
    home.maildir.add("1.a")
    os.mkdir(home.maildir.at(TRASH))
    harness.own(home.maildir.at(TRASH))
    for name in there:
        if name == "maildirfolder":
            home.maildir.add(name, b"", sub=TRASH)
        else:
            os.mkdir(home.maildir.at(TRASH, name))
            harness.own(home.maildir.at(TRASH, name))
    session(lab, home, "DELE 1")
    assert list(folder(home)) == ["cur/1.a:2,"]
    assert os.path.exists(home.maildir.at(TRASH, "maildirfolder"))


def test_without_the_option_no_folder_is_made_and_none_is_used(lab, home):
    home.maildir.add("1.a")
    make_folder(home)
    session(lab, home, "DELE 1", options=())
    assert folder(home) == {} and home.maildir.names() == []


def test_only_quit_moves(lab, home):
    home.maildir.add("1.a")
    server = lab.session(home, "--delete-to", "Trash")
    server.line()
    server.ask("DELE 1")
    server.shutdown()
    server.ended()
    assert home.maildir.names() == [b"new/1.a"] and folder(home) == {}
    session(lab, home, "DELE 1", "RSET")
    assert home.maildir.names() == [b"cur/1.a:2,"] and folder(home) == {}


@pytest.mark.parametrize("name, on_disk", [("Deleted Items", ".Deleted Items"),
                                           ("INBOX.Old.Trash", ".INBOX.Old.Trash"),
                                           ("Gel&APY-scht", ".Gel&APY-scht"), ("ä", ".ä")])
def test_names_of_folders(lab, home, name, on_disk):
    home.maildir.add("1.a")
    _, log = session(lab, home, "DELE 1", options=["--delete-to", name, "--log-deletions"])
    assert list(folder(home, on_disk)) == ["cur/1.a:2,"]
    assert f" folder={name}" in log or f' folder="{name}"' in log or name == "ä", log


@pytest.mark.parametrize("name", ["", ".", "..", ".Trash", "Trash.", "a..b", "../x", "a/b", "/",
                                  "a\nb", "x" * 201])
def test_names_that_are_refused(lab, home, name):
    server = lab.session(home, "--delete-to", name)
    assert server.rest() == b"" and server.ended() == 100, server.report()
    assert not os.path.exists(home.maildir.at(TRASH))


def test_the_session_after_a_login_gets_the_option(lab, home):
    home.maildir.add("1.a")
    server = lab.login(home, "--delete-to", "Deleted Items")
    assert server.line().startswith("+OK 1 message"), server.report()
    server.ask("DELE 1")
    assert server.quit().startswith("+OK")
    assert list(folder(home, ".Deleted Items")) == ["cur/1.a:2,"]


# -- what is in the way


def test_a_message_of_that_name_in_the_folder_stays(lab, home):
    home.maildir.add("1.a,S=4:2,S", b"new\n", sub="cur")
    make_folder(home, "1.a,S=4:2,S")
    inode = os.stat(home.maildir.at("cur", "1.a,S=4:2,S")).st_ino
    reply, _ = session(lab, home, "DELE 1")
    assert reply == f"{LEFT} (maildrop empty)"
    assert folder(home) == {"cur/1.a,S=4:2,S": b"of before\n",
                            f"cur/1.a-i{inode:x},S=4:2,S": b"new\n"}


def test_a_name_without_room_for_another_stays_in_the_maildrop(lab, home):
    name = "1." + "a" * 248 + ":2,S"
    home.maildir.add(name, sub="cur")
    make_folder(home, name)
    reply, log = session(lab, home, "DELE 1")
    assert reply.startswith("-ERR [SYS/TEMP]") and "update-failed errno=17" in log
    assert home.maildir.names() == [os.fsencode("cur/" + name)]


def test_a_move_that_was_interrupted_is_finished(lab, home):
    """A file system without renameat2 moves by a link and a removal: between them there are both."""
    path = home.maildir.add("1.a:2,S", b"one\n", sub="cur")
    make_folder(home)
    os.link(path, home.maildir.at(TRASH, "cur", "1.a:2,S"))
    reply, _ = session(lab, home, "DELE 1")
    assert reply == f"{LEFT} (maildrop empty)"
    assert home.maildir.names() == [] and folder(home) == {"cur/1.a:2,S": b"one\n"}


@pytest.mark.skipif(not ROOT or shutil.which("strace") is None, reason="needs root and strace")
def test_no_message_is_lost_where_the_session_dies_in_the_update(lab, home):
    for i in range(5):
        home.maildir.add(f"{i}.a", b"%d\n" % i)
    expected = sorted(b"%d\n" % i for i in range(5))
    for when in (1, 2, 3):
        server = lab.session(home, "--delete-to", "Trash", wrapper=[
            "strace", "-f", "-o", "/dev/null", "-e", f"inject=renameat2:signal=KILL:when={when}"])
        count = len(home.maildir.names())
        assert server.line().startswith(f"+OK {count} message"), server.report()
        for i in range(count):
            server.ask(f"DELE {i + 1}")
        server.send(b"QUIT\r\n")
        assert server.rest() == b"", server.report()
        server.ended()
        assert len(home.maildir.names()) in (count - when, count - when + 1)
        assert sorted([*(entry[0] for entry in home.maildir.contents()),
                       *folder(home).values()]) == expected
    session(lab, home, *(f"DELE {i + 1}" for i in range(len(home.maildir.names()))))
    assert home.maildir.names() == [] and sorted(folder(home).values()) == expected


def refuse(home, how):
    trash = home.maildir.at(TRASH)
    if how == "file":
        home.maildir.add(TRASH, sub="")
    elif how == "link":
        os.mkdir(os.path.join(home.path, "elsewhere"))
        harness.own(os.path.join(home.path, "elsewhere"))
        os.symlink("../elsewhere", trash)
    elif how == "cur-link":
        make_folder(home)
        os.rmdir(home.maildir.at(TRASH, "cur"))
        os.symlink("../new", home.maildir.at(TRASH, "cur"))
    elif how == "mode":
        make_folder(home)
        os.chmod(trash, 0)


@pytest.mark.parametrize("how", ["file", "link", "cur-link", "mode"])
def test_a_folder_that_cannot_be_used_stops_no_login_and_nothing_is_removed(lab, home, how):
    home.maildir.add("1.a", b"one\n")
    home.maildir.add("2.b", b"two\n")
    refuse(home, how)
    reply, log = session(lab, home, "RETR 1", "DELE 1",
                         options=["--delete-to", "Trash", "--log-deletions"])
    assert reply == "-ERR [SYS/TEMP] one deleted message not removed, 2 messages left" or \
        reply.startswith("-ERR [SYS/TEMP]"), reply
    assert " folder-unusable errno=" in log and " folder=Trash" in log
    assert " deletion-failed message=1 " in log, log
    assert home.maildir.names() == [b"cur/2.b:2,", b"new/1.a"]
    if how == "mode":
        os.chmod(home.maildir.at(TRASH), 0o700)


def test_a_folder_that_goes_during_the_session_costs_no_message(lab, home):
    home.maildir.add("1.a", b"one\n")
    reply, log = session(lab, home, "DELE 1",
                         before_quit=lambda: shutil.rmtree(home.maildir.at(TRASH)))
    assert reply.startswith("-ERR [SYS/TEMP]") and "update-failed errno=20" in log, log
    assert home.maildir.names() == [b"new/1.a"]


def test_a_message_that_moves_meanwhile_is_found(lab, home):
    home.maildir.add("1.a", b"one\n")
    session(lab, home, "DELE 1", before_quit=lambda: os.rename(
        home.maildir.at("new", "1.a"), home.maildir.at("cur", "1.a:2,F")))
    assert home.maildir.names() == [] and folder(home) == {"cur/1.a:2,F": b"one\n"}


def test_further_names_of_the_file_go(lab, home):
    path = home.maildir.add("1.a", b"one\n")
    os.link(path, home.maildir.at("cur", "1.a:2,S"))
    server = lab.session(home, "--delete-to", "Trash")
    assert server.line().startswith("+OK 1 message"), server.report()
    server.ask("DELE 1")
    assert server.quit() == f"{LEFT} (maildrop empty)"
    assert home.maildir.names() == [] and list(folder(home).values()) == [b"one\n"]


def test_second_of_two_files_of_a_name_gets_its_own_in_the_folder(lab, home):
    home.maildir.add("1.a", b"one\n")
    home.maildir.add("1.a:2,S", b"two\n", sub="cur")
    session(lab, home, "DELE 1", "DELE 2")
    names = sorted(folder(home))
    assert len(names) == 2 and sum("-i" in name for name in names) == 1, names
    assert sorted(folder(home).values()) == [b"one\n", b"two\n"]


# -- the quota


@pytest.mark.parametrize("name, line", [("Trash", b"-10 -2\n"), ("Old", b""), ("Trash.Old", b"")])
def test_maildirsize_counts_what_is_in_any_folder_but_trash(lab, home, name, line):
    home.maildir.add("maildirsize", b"1000S\n100 9\n", sub="")
    home.maildir.add("1.a", b"12345\n")
    home.maildir.add("2.b:2,S", b"123\n", sub="cur")
    home.maildir.add("3.c:2,T", b"trashed\n", sub="cur")
    session(lab, home, "DELE 1", "DELE 2", "DELE 3", options=["--delete-to", name])
    assert len(folder(home, "." + name)) == 3
    with open(home.maildir.at("maildirsize"), "rb") as file:
        assert file.read() == b"1000S\n100 9\n" + line


# -- the index


def test_the_index_is_right_after_a_move(lab, home):
    for i in range(120):
        home.maildir.add(f"{1700000000 + i}.a", b"%d\n" % i, sub="cur", mtime=1700000000)
    os.utime(home.maildir.at("cur"), (1700000000, 1700000000))
    for _ in range(3):
        count = len(home.maildir.names())
        server = lab.session(home, "--delete-to", "Trash")
        assert server.line().startswith(f"+OK {count} messages"), server.report()
        uids = server.listing("UIDL")
        server.ask("DELE 2")
        server.quit()
        assert uids[2].encode() not in b" ".join(home.maildir.names())
    assert len(folder(home)) == 3
