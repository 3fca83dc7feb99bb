"""pop3d --show: the messages of a Maildir as a session lists them, and nothing is changed."""
import os
import shutil
import subprocess
import time

import pytest

from harness import MAIL_UID, ROOT, own


def show(lab, *words, **how):
    return subprocess.run([lab.pop3d, "--show", *words], env=lab.environment(), check=False,
                          stdin=subprocess.DEVNULL, capture_output=True, **how)


def table(lab, maildir):
    """(number, octets, uid, flags, file) of each message, and the last line."""
    done = show(lab, maildir.path)
    assert (done.returncode, done.stderr) == (0, b""), done
    lines = done.stdout.decode().splitlines()
    assert lines[0].split() == ["number", "octets", "uid", "flags", "file"]
    return [line.split(maxsplit=4) for line in lines[1:-1]], lines[-1]


def everything(maildir):
    """Also the index, and times that a change of a directory would set."""
    found = {}
    for top, directories, files in os.walk(maildir.path):
        for name in [b"", *directories, *files]:
            st = os.lstat(os.path.join(top, name))
            found[os.path.join(top, name)] = (st.st_mode, st.st_ino, st.st_mtime_ns, st.st_ctime_ns,
                                              st.st_size)
    return found


def serve(lab, home):
    """What a session says to LIST and UIDL."""
    server = lab.session(home)
    server.line()
    listed = [octets for _, octets in sorted(server.listing("LIST").items())]
    uids = [uid for _, uid in sorted(server.listing("UIDL").items())]
    server.quit()
    server.ended()
    return listed, uids


def fill(home):
    home.add_seeds()
    home.maildir.add("1700000001.a.test,W=18")
    home.maildir.add("1700000002.b.test:2,", sub="cur")
    home.maildir.add("1700000003.c.test:2,FS", sub="cur")
    home.maildir.add("1700000004." + "d" * 80, b"no line end")
    home.maildir.add("1700000005.e f", b"")
    home.maildir.add(".hidden")
    os.mkdir(home.maildir.at("new", "directory"))


def test_messages_are_those_of_a_session(lab, home):
    fill(home)
    shown, last = table(lab, home.maildir)
    listed, uids = serve(lab, home)
    assert [row[1] for row in shown] == listed
    assert [row[2] for row in shown] == uids
    assert [int(row[0]) for row in shown] == list(range(1, len(listed) + 1))
    assert last == f"{len(listed)} messages, {sum(map(int, listed))} octets"


def test_flags_and_files(lab, home):
    fill(home)
    shown, _ = table(lab, home.maildir)
    rows = {row[4]: row[3] for row in shown}
    assert rows["new/1700000001.a.test,W=18"] == "-"
    assert rows["cur/1700000002.b.test:2,"] == "-"
    assert rows["cur/1700000003.c.test:2,FS"] == "FS"
    assert rows['"new/1700000005.e f"'] == "-"


@pytest.mark.parametrize("count", [0, 5, 150])
def test_nothing_is_changed(lab, home, count):
    for i in range(count):
        home.maildir.add(f"{1700000000 + i}.x.test")
    old = home.maildir.at("tmp", "old")
    with open(old, "wb"):
        pass
    os.utime(old, (1, 1))
    before = everything(home.maildir)
    shown, _ = table(lab, home.maildir)
    assert len(shown) == count
    assert everything(home.maildir) == before


def test_an_index_is_read_and_left_alone(lab, home):
    for i in range(2000):
        home.maildir.add(f"{1700000000 + i}.x.test,W=7")
    for sub in ("new", "cur"):
        os.utime(home.maildir.at(sub), (1700000000, 1700000000))
    time.sleep(0.1)  # An index of what has just changed is not a listing.
    for _ in range(2):
        server = lab.session(home, "--verify-sizes")
        server.line()
        server.shutdown()
        server.ended()
    index = home.maildir.at("pop3d", "index")
    assert os.path.exists(index)
    before = everything(home.maildir)
    shown, last = table(lab, home.maildir)
    assert last == "2000 messages, 40000 octets", "the sizes that were counted, not those of the names"
    assert everything(home.maildir) == before
    with open(index, "r+b") as file:
        file.seek(32768)
        file.write(bytes(4096))
    before = everything(home.maildir)
    done = show(lab, home.maildir.path)
    assert done.returncode == 111 and b"the index is damaged: remove pop3d/index" in done.stderr
    assert everything(home.maildir) == before, "a damaged index is the next session's business"


def test_a_session_that_holds_the_lock_does_not_matter(lab, home):
    fill(home)
    server = lab.session(home, "--lock")
    server.line()
    shown, _ = table(lab, home.maildir)
    assert shown
    server.quit()


def test_what_is_wrong_is_said(lab, home, tmp_path):
    for words in ([], [home.maildir.path, "more"], [""]):
        done = show(lab, *words)
        assert done.returncode == 100 and b"usage: pop3d --show MAILDIR" in done.stderr, done
    for path, problem in ((tmp_path / "missing", "No such file or directory"),
                          (tmp_path, "new: No such file or directory")):
        done = show(lab, path)
        assert done.returncode == 111 and problem in done.stderr.decode(), done


def test_options_before_it_are_refused(lab, home):
    for option in ("--show", "--check"):
        done = subprocess.run([lab.pop3d, "--lock", option, home.maildir.path], check=False,
                              stdin=subprocess.DEVNULL, capture_output=True, env=lab.environment())
        assert done.returncode == 100 and b"must be the first option" in done.stderr, done


def test_the_program_beside_pop3d_is_run_else_that_in_path(lab, home, tmp_path):
    alone, path = tmp_path / "alone", tmp_path / "path"
    for directory in (alone, path):
        directory.mkdir()
    shutil.copy(lab.pop3d, alone)
    (path / "pop3d-admin").write_text("#!/bin/sh\necho fake \"$@\"\n", encoding="ascii")
    (path / "pop3d-admin").chmod(0o755)
    for program, places, expected in (
            (lab.pop3d, f"{path}:/usr/bin:/bin", b"number "),
            (alone / "pop3d", f"{path}:/usr/bin:/bin", b"fake show " + home.maildir.path),
            (alone / "pop3d", "/usr/bin:/bin", b"pop3d: pop3d-admin: No such file")):
        done = subprocess.run([program, "--show", home.maildir.path], check=False,
                              env={**lab.environment(), "PATH": places}, stdin=subprocess.DEVNULL,
                              capture_output=True)
        assert (done.stdout + done.stderr).startswith(expected), done
        assert done.returncode == (111 if expected.startswith(b"pop3d:") else 0)


@pytest.mark.skipif(not ROOT, reason="needs root, who could read everything")
def test_root_reads_with_the_rights_of_the_owner(lab, home, tmp_path):
    secret = tmp_path / "secret"
    secret.mkdir(mode=0o700)
    (secret / "1.root").write_bytes(b"of root\n")
    os.rmdir(home.maildir.at("new"))
    os.symlink(secret, home.maildir.at("new"))
    done = show(lab, home.maildir.path)
    assert done.returncode == 111 and b"Permission denied" in done.stderr, done
    assert os.stat(home.maildir.path).st_uid == MAIL_UID
    own(home.maildir.path)
