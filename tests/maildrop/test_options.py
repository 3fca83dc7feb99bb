"""Options for administrators: what is made, folded, logged and refused."""
import os
import pty
import shutil
import subprocess
import time

from launch import LETS_IN, READS, Script
from test_checkpassword import log_in, start


def test_a_user_without_a_maildir_is_told_that_there_is_none_yet(lab, home):
    server = lab.session(home, maildir="Missing")
    assert server.line() == "-ERR [SYS/TEMP] there is no mailbox yet", server.report()
    server.ended()
    assert not os.path.exists(os.path.join(home.path, "Missing"))
    assert "maildrop-unusable errno=2" in server.log()


def test_a_maildir_is_made_where_that_is_wished(lab, home):
    for _ in range(2):
        server = lab.session(home, "--create-maildir", maildir="Missing")
        assert server.line().startswith("+OK 0 messages"), server.report()
        server.ask("QUIT")
        server.ended()
    made = os.path.join(home.path, "Missing")
    assert {"tmp", "new", "cur"} <= set(os.listdir(made))
    assert os.stat(made).st_mode & 0o777 == 0o700
    shutil.rmtree(made)
    # the directory around it is not made
    server = lab.session(home, "--create-maildir", maildir="a/b")
    assert server.line().startswith("-ERR [SYS/"), server.report()
    server.ended()


def test_deletions_are_logged_where_that_is_wished(lab, home):
    home.add_seeds()
    server = lab.session(home, "--log-deletions")
    server.line()
    uid = server.ask("UIDL 2").split()[2]
    size = server.ask("LIST 2").split()[2]
    server.ask("DELE 2")
    server.ask("QUIT")
    server.ended()
    lines = [line for line in server.log().splitlines() if "deletion" in line]
    assert len(lines) == 1 and f" deletion message=2 uid={uid} size={size}" in lines[0], lines


def test_a_login_is_folded_where_that_is_wished(lab, home):
    checker = Script(home, LETS_IN)
    for options, expected in ([], b"KerMit"), (["--fold-login"], b"kermit"):
        server = start(lab, home, [checker.path], *options)
        assert log_in(server, "KerMit", "Secret").startswith("+OK"), server.report()
        server.ask("QUIT")
        server.ended()
        assert checker.note("credentials").startswith(expected + b"\0Secret\0")


def test_a_slow_checker_ends_at_a_multiple_of_the_delay(lab, home):
    checker = Script(home, READS + "sleep 1.2\nexit 1\n")
    server = start(lab, home, [checker.path], "--fail-delay", "1")
    begin = time.monotonic()
    assert log_in(server, "kermit", "x").startswith("-ERR [AUTH]"), server.report()
    assert 2 <= time.monotonic() - begin < 2.8
    server.ask("QUIT")
    server.ended()


def test_debug_logs_the_reply_to_list_and_uidl_of_one_message(lab, home):
    home.add_seeds()
    server = lab.session(home, "--debug")
    server.line()
    replies = [server.ask(command) for command in ("LIST 1", "UIDL 1")]
    server.ask("QUIT")
    server.ended()
    for reply in replies:
        assert f'protocol server="{reply}"' in server.log(), server.log()


def test_wrong_use_is_explained_to_a_person_who_pages_it(lab):
    """pop3d --bogus 2>&1 | less: standard output is standard error, and the input a terminal."""
    ours, theirs = pty.openpty()
    for program in ("pop3d", "pop3d-tls"):
        path = os.path.join(os.path.dirname(lab.pop3d), program)
        if not os.path.exists(path):
            continue
        done = subprocess.run([path, "--bogus"], stdin=theirs, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False, timeout=20)
        assert done.returncode == 100 and b"usage: " in done.stdout, done
    os.close(ours)
    os.close(theirs)


def keep(lab, home, *options, commands=("RETR 1", "RETR 2", "DELE 3")):
    """The names after a session that retrieves two messages and deletes one."""
    for name, sub in (("1.a", "new"), ("2.b:2,F", "cur"), ("3.c", "new"), ("4.d", "new")):
        home.maildir.add(name, sub=sub)
    server = lab.session(home, *options)
    server.line()
    for command in commands:
        (server.ask if command.startswith("DELE") else server.ask_multi)(command)
    assert server.quit().startswith("+OK"), server.report()
    return [os.fsdecode(name) for name in home.maildir.names()]


def test_retr_gives_no_flag_where_that_is_wished(lab, home):
    assert keep(lab, home, "--no-seen") == ["cur/1.a:2,", "cur/2.b:2,F", "cur/4.d:2,"]


def test_messages_stay_in_new_where_that_is_wished(lab, home):
    assert keep(lab, home, "--no-move") == ["cur/2.b:2,FS", "new/1.a", "new/4.d"]


def test_with_both_a_session_changes_nothing_but_what_it_deletes(lab, home):
    assert keep(lab, home, "--no-seen", "--no-move") == ["cur/2.b:2,F", "new/1.a", "new/4.d"]


def test_with_both_a_session_that_deletes_nothing_leaves_the_times(lab, home):
    before = [os.stat(home.maildir.at(sub)).st_mtime_ns for sub in ("new", "cur")]
    keep(lab, home, "--no-seen", "--no-move", commands=())
    for sub in ("new", "cur"):
        os.utime(home.maildir.at(sub), (1, 1))
    server = lab.session(home, "--no-seen", "--no-move")
    server.line()
    server.ask_multi("RETR 1")
    server.quit()
    assert before and [os.stat(home.maildir.at(sub)).st_mtime for sub in ("new", "cur")] == [1, 1]


def test_a_file_that_gets_a_name_of_its_own_goes_to_cur_all_the_same(lab, home):
    """Where it stays in new/, it would get the other file's unique id when that is removed."""
    home.maildir.add("1.a", b"one\n", sub="cur")
    home.maildir.add("1.a", b"two\n")
    uids = []
    for _ in range(2):
        server = lab.session(home, "--no-move")
        server.line()
        uids.append(server.listing("UIDL"))
        server.quit()
    assert uids[0] == uids[1] and len(set(uids[0].values())) == 2
    assert len(home.maildir.names("cur")) == 2 and home.maildir.names("new") == []


def test_the_index_does_with_messages_that_stay_in_new(lab, home):
    for i in range(150):
        home.maildir.add(f"{1700000000 + i}.a", mtime=1700000000)
    for sub in ("new", "cur"):
        os.utime(home.maildir.at(sub), (1700000000, 1700000000))
    for _ in range(3):
        server = lab.session(home, "--no-move")
        assert server.line().startswith("+OK 150 messages"), server.report()
        server.ask_multi("RETR 7")
        server.quit()
    assert len(home.maildir.names("new")) == 150


NUL = b"Subject: a\0b\n\n\0\n.\0\nlast\0"


def test_nul_is_replaced_where_that_is_wished_and_sizes_stay(lab, home):
    home.maildir.add("1.a", NUL)
    seen = []
    for options in ([], ["--no-nul"], []):
        server = lab.session(home, *options)
        server.line()
        seen.append((server.ask("STAT"), server.ask("LIST 1"), *server.ask_multi("RETR 1"),
                     server.ask_multi("TOP 1 1")[1]))
        server.quit()
    wire = b"Subject: a\0b\r\n\r\n\0\r\n..\0\r\nlast\0\r\n"
    top = wire[:wire.index(b"..")]
    assert seen[0] == seen[2] and seen[0][:3] == seen[1][:3]
    assert seen[0][0] == f"+OK 1 {len(wire) - 1}"
    assert seen[0][3:] == (wire, top)
    assert seen[1][3:] == (wire.replace(b"\0", b"\x80"), top.replace(b"\0", b"\x80"))


def test_a_message_of_many_blocks_has_no_nul_left(lab, home):
    home.maildir.add("1.a", b"\n" + (b"\0" * 1000 + b"x\n") * 300)
    server = lab.session(home, "--no-nul")
    server.line()
    first, body = server.ask_multi("RETR 1")
    assert b"\0" not in body and body.count(b"\x80") == 300000 and f" {len(body)} " in first
    server.quit()


def test_deletions_that_fail_are_logged(lab, home):
    home.maildir.add("1.a")
    home.maildir.add("2.b:2,", sub="cur")
    server = lab.session(home, "--log-deletions")
    server.line()
    server.ask("DELE 1")
    server.ask("DELE 2")
    os.chmod(home.maildir.at("cur"), 0o500)
    assert server.quit().startswith("-ERR"), server.report()
    os.chmod(home.maildir.at("cur"), 0o700)
    assert " deletion message=1 " in server.log() and " deletion message=2 " in server.log()
    assert "deletion-failed message=2 " in server.log()
    assert "deletion-failed message=1 " not in server.log()


ENDLESS = {"1.a": b"", "2.b": b"Subject: x", "3.c": b"Subject: x\n", "4.d": b"Subject: x\r\n",
           "5.e": b"Subject: x\n\ntext\n", "6.f": b"Subject: x\r\n\r\n", "7.g": b"\ntext",
           "8.h": b".Subject\nB: y\n", "9.i": b"Subject: x\nB: " + b"y" * 70000}


def wire_octets(text):
    return len(text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))


def without_dots(body):
    return b"".join(line[1:] if line.startswith(b".") else line
                    for line in body.splitlines(keepends=True))


def look(lab, home, *options, retrieve=True):
    """What all commands say of every message; that they agree is asserted."""
    server = lab.session(home, *options)
    first = server.line()
    sizes = {number: int(size) for number, size in server.listing("LIST").items()}
    total = sum(sizes.values())
    assert server.ask("STAT") == f"+OK {len(sizes)} {total}" and f"({total} octets)" in first
    bodies = {}
    for number, size in sizes.items() if retrieve else ():
        first, bodies[number] = server.ask_multi(f"RETR {number}")
        assert first == f"+OK {size} octets" and len(without_dots(bodies[number])) == size, first
        assert server.ask_multi(f"TOP {number} 100000")[1] == bodies[number]
        top = server.ask_multi(f"TOP {number} 0")[1]
        assert bodies[number].startswith(top)
        if "--end-of-headers" in options:
            assert top.endswith(b"\r\n\r\n") or top == b"\r\n", top[-20:]
    server.quit()
    return sizes, bodies


def test_headers_get_their_end_where_that_is_wished_with_exact_sizes(lab, home):
    home.maildir.add_all(ENDLESS)
    with_w = {f"{name}0,W={wire_octets(text)}": text for name, text in ENDLESS.items()
              if text.endswith(b"\n")}
    home.maildir.add_all(with_w)
    plain, plain_bodies = look(lab, home)
    ended, ended_bodies = look(lab, home, "--end-of-headers")
    for number, body in plain_bodies.items():
        has_end = b"\r\n\r\n" in body or body.startswith(b"\r\n")
        assert ended_bodies[number] == body + (b"" if has_end else b"\r\n")
        assert ended[number] == plain[number] + (0 if has_end else 2)
    assert sum(ended.values()) > sum(plain.values())


def test_the_index_does_not_lie_where_the_option_comes_and_goes(lab, home):
    """With new mail, deletions and sessions that only list between, and sizes in the names."""
    home.maildir.add_all(ENDLESS)
    home.maildir.add_all({f"{1000 + i}.a,W=12": b"Subject: x\n" for i in range(120)})
    for sub in ("new", "cur"):
        os.utime(home.maildir.at(sub), (1700000000, 1700000000))
    on = ["--end-of-headers"]
    for turn, options in enumerate(([], on, on, [], [], on, [], on)):
        sizes, _ = look(lab, home, *options, retrieve=turn % 3 == 0)
        fresh, _ = look(lab, home, *options, "--no-index", "--verify-sizes", retrieve=False)
        assert sizes == fresh and len(sizes) == len(ENDLESS) + 120 + turn
        home.maildir.add(f"{2000 + turn}.a", b"Subject: y\n")


def test_with_the_option_each_message_is_read_once(lab, home):
    """The second login takes the sizes from the index: it works though no file can be read."""
    home.maildir.add_all(ENDLESS, sub="cur")
    os.utime(home.maildir.at("cur"), (1700000000, 1700000000))
    sizes, _ = look(lab, home, "--end-of-headers", retrieve=False)
    for name in home.maildir.names():
        os.chmod(home.maildir.at(os.fsdecode(name)), 0)
    assert look(lab, home, "--end-of-headers", retrieve=False)[0] == sizes
