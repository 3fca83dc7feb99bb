"""The index of a Maildir: what it saves, that it is never wrongly believed, and never missed."""
import errno
import os
import random
import shutil
import stat
import struct
import subprocess
import time

import pytest

import harness
from harness import HOST, ROOT, retry_until

MODELS = int(os.environ.get("POP3D_INDEX_MODELS", "6"))  # Random sequences.
LARGE = int(os.environ.get("POP3D_CHECK_LARGE", "0"))  # Messages; make check-large sets it.


def index_of(box):
    return box.at("pop3d", "index")


def age(box, seconds=3600):
    """Makes both directories look as if nothing had changed for long."""
    then = time.time() - seconds
    for sub in ("new", "cur"):
        os.utime(box.at(sub), (then, then))
    # The time of change cannot be set back, so it must pass: on NFS three seconds.
    time.sleep(float(os.environ.get("POP3D_TEST_REST", "0.06")))


def fill(box, count, sub="cur", sized=True, first=0):
    for n in range(first, first + count):
        size = f",S={5 + n},W={6 + n}" if sized else ""
        box.add(f"{1000000000 + n}.M{n}P1.host{size}" + (":2,S" if sub == "cur" else ""),
                b"a" * (4 + n % 50) + b"\n" if not sized else b"a" * (4 + n) + b"\n", sub)


def session(lab, home, *commands, options=(), end="QUIT", **how):
    """One session: its first reply, STAT, LIST and UIDL, and the replies to the commands."""
    server = lab.session(home, *options, **how)
    first = server.line()
    assert first is not None and first.startswith("+OK"), server.report()
    seen = [first, server.ask("STAT"), server.listing("LIST"), server.listing("UIDL")]
    for command in commands:
        seen.append(server.ask_multi(command) if command.startswith(("RETR", "TOP"))
                    else server.ask(command))
    if end == "QUIT":
        assert server.quit() is not None, server.report()
    else:
        server.shutdown()
    server.ended()
    return seen


def same_as_without(lab, home, **how):
    """A session with the index answers the same as one without."""
    expected = session(lab, home, options=["--no-index"], end="EOF", **how)
    assert session(lab, home, **how) == expected
    return expected


def make_index(lab, home):
    age(home.maildir)
    session(lab, home)
    assert os.path.exists(index_of(home.maildir))


@pytest.fixture
def traced(lab, home):
    """Runs sessions and reports which files and directories they opened, and the calls on them."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")

    def run(*commands, options=()):
        path = os.path.join(home.path, "trace")
        root = ["--allow-root"] if ROOT else []
        shutil.rmtree(path, ignore_errors=True)
        seen = session(lab, home, *commands, options=[*root, *options], uid=None, wrapper=[
            "strace", "-f", "-qq", "-e", "trace=%file,getdents64,fstat,pread64,rename,renameat2",
            "-o", path])
        with open(path, encoding="latin-1") as file:
            trace = file.read()
        if "new" not in trace or harness.hides_names(trace):
            pytest.skip("strace may not trace here")
        # After the answer to QUIT come tmp/ and the index.
        return seen, trace

    if ROOT:  # The session is root's in this test, so the index must be root's as well.
        for top, directories, files in os.walk(home.path):
            for name in directories + files:
                os.chown(os.path.join(top, name), 0, 0, follow_symlinks=False)
        os.chown(home.path, 0, 0)
    return run


# -- what it saves


def test_unchanged_maildrop_is_not_read(home, traced):
    fill(home.maildir, 120)
    fill(home.maildir, 30, "new", first=200)
    first, _ = traced()
    age(home.maildir)
    traced()
    seen, trace = traced()
    assert seen == first
    assert trace.count("getdents64") == 2, trace  # Of tmp/.
    assert ".host" not in trace, trace


def test_sizes_are_counted_once(lab, home, traced):
    fill(home.maildir, 20, sized=False)
    age(home.maildir)
    first, trace = traced()
    assert trace.count(".host") == 20
    home.maildir.add("2000000000.M1P1.host", b"x\n")
    seen, trace = traced()
    assert seen[2] == {**first[2], 21: "3"}
    assert trace.count('.host", O_RDONLY') == 1 and trace.count('.host:2,S", O_RDONLY') == 0
    for name in home.maildir.names("cur"):  # Other flags, another directory: the same message.
        os.rename(home.maildir.at(name), home.maildir.at(name.replace(b":2,S", b":2,RS")))
    seen, trace = traced()
    assert trace.count(".host") == 0, trace
    assert seen[2] == {**first[2], 21: "3"}


def test_new_mail_needs_no_reading_of_cur(home, traced):
    fill(home.maildir, 120)
    age(home.maildir)
    first, _ = traced()
    home.maildir.add("2000000000.M1P1.host,W=3", b"x\n")
    if ROOT:
        os.chown(home.maildir.at("new", "2000000000.M1P1.host,W=3"), 0, 0)
    seen, trace = traced()
    assert seen[1] == f"+OK 121 {int(first[1].split()[2]) + 3}"
    assert trace.count("getdents64") == 4, trace  # Of new/ and tmp/.
    assert seen[3] == {**first[3], 121: "2000000000.M1P1.host,W=3"}


def test_small_maildrop_with_sizes_gets_no_index(lab, home, traced):
    fill(home.maildir, 20)
    age(home.maildir)
    traced("RETR 1")
    assert not os.path.exists(home.maildir.at("pop3d"))
    shutil.rmtree(home.maildir.at("cur"))
    os.mkdir(home.maildir.at("cur"))
    _, trace = traced()
    assert not os.path.exists(home.maildir.at("pop3d"))
    assert trace.count("pop3d\"") == 1 + trace.count("execve("), trace


def test_no_index_neither_reads_nor_writes_one(lab, home, traced):
    fill(home.maildir, 150)
    age(home.maildir)
    _, trace = traced(options=["--no-index"])
    assert not os.path.exists(home.maildir.at("pop3d"))
    traced()
    before = os.stat(index_of(home.maildir))
    home.maildir.add("1.a", b"x\n")
    _, trace = traced(options=["--no-index"])
    assert '"index"' not in trace
    assert os.stat(index_of(home.maildir)) == before


def test_no_index_reaches_the_session_after_a_login(lab, home):
    fill(home.maildir, 150)
    age(home.maildir)
    for options in (["--no-index"], []):
        server = lab.login(home, *options)
        assert server.line().startswith("+OK 150"), server.report()
        server.quit()
        server.ended()
        assert retry_until(lambda: os.path.exists(index_of(home.maildir)), 0.5 if options else 5) \
            == (not options)


def test_index_belongs_to_the_mail_user_alone(lab, home):
    fill(home.maildir, 150)
    make_index(lab, home)
    for path, mode in ((home.maildir.at("pop3d"), 0o700), (index_of(home.maildir), 0o600)):
        assert stat.S_IMODE(os.stat(path).st_mode) == mode
        assert os.stat(path).st_uid == harness.MAIL_UID


def test_wrong_size_in_a_name_is_told_right_for_ever(lab, home):
    fill(home.maildir, 150)
    home.maildir.add("5.M1P1.host,S=9,W=9999", b"x\n", "new")
    age(home.maildir)
    server = lab.session(home)
    server.line()
    assert server.ask("LIST 1") == "+OK 1 9999"
    assert server.ask_multi("RETR 1")[0] == "+OK 3 octets"
    assert server.ask("LIST 1") == "+OK 1 3"
    server.quit()
    server.ended()
    assert server.log().count("size-wrong") == 1
    server = lab.session(home)
    server.line()
    assert server.ask("LIST 1") == "+OK 1 3"
    assert server.ask_multi("RETR 1")[0] == "+OK 3 octets"
    server.quit()
    assert "size-wrong" not in server.log()


def test_size_of_a_file_that_was_written_into_is_told_right_again(lab, home):
    fill(home.maildir, 150, sized=False)
    make_index(lab, home)
    name = home.maildir.names("cur")[0]
    with open(home.maildir.at(name), "ab") as file:  # The times of the directory stay the same.
        file.write(b"more\n" * 20)
        right = file.tell() + 1 + 20
    server = lab.session(home)
    server.line()
    assert server.ask("LIST 1") != f"+OK 1 {right}"
    others = int(server.ask("STAT").split()[2]) - int(server.ask("LIST 1").split()[2])
    server.ask_multi("RETR 1")
    assert server.ask("LIST 1") == f"+OK 1 {right}"
    assert server.ask("STAT") == f"+OK 150 {others + right}"
    server.quit()
    server.ended()
    assert server.log().count("size-wrong") == 1
    same_as_without(lab, home)
    assert session(lab, home, "RETR 1")[4][0] == f"+OK {right} octets"


def test_verify_sizes_counts_each_message_once(home, traced):
    fill(home.maildir, 20)
    home.maildir.add("5.M1P1.host,W=9999:2,", b"x\n", "cur")
    age(home.maildir)
    seen, trace = traced(options=["--verify-sizes"])
    assert seen[2][1] == "3" and trace.count(".host") == 21
    seen, trace = traced(options=["--verify-sizes"])
    assert seen[2][1] == "3" and trace.count(".host") == 0, trace


def test_message_that_could_not_be_read_is_tried_again(lab, home):
    if ROOT and os.environ.get("ASAN_OPTIONS"):
        pytest.skip("as the mail user only")
    fill(home.maildir, 150)
    path = home.maildir.add("5.M1P1.host:2,", b"some\ntext\n", "cur")
    os.chmod(path, 0)
    make_index(lab, home)
    os.chmod(path, 0o600)
    age(home.maildir)
    assert session(lab, home)[2][1] == "12"
    assert session(lab, home)[2][1] == "12"


# -- changes are seen


@pytest.mark.parametrize("where", ["disk", "tmpfs", "overlay"])
def test_changes_in_the_tick_of_the_reading_are_seen(lab, home, where, tmpfs):
    """Sessions and changes follow each other without a pause, so that times are equal."""
    if where != "disk":
        home = tmpfs(16, where == "overlay")
    box = home.maildir
    fill(box, 110)
    expected = 110
    for n in range(12):
        sub = ("new", "cur")[n % 2]
        name = f"{1500000000 + n}.M{n}P2.host,W=9" + (":2," if sub == "cur" else "")
        assert session(lab, home)[1].split()[1] == str(expected), n
        box.add(name, b"1234567\n", sub)
        assert session(lab, home)[1].split()[1] == str(expected + 1), n
        os.remove(box.at("cur", name.partition(":")[0] + ":2,"))


def final_marks(box):
    """True if the index calls the times of new/ and of cur/ final (doc/INDEX)."""
    with open(index_of(box), "rb") as file:
        header = file.read(184)
    return [struct.unpack_from("=Q", header, at + 40)[0] for at in (24, 72)]


@pytest.mark.parametrize("sub", ["new", "cur"])
def test_times_that_are_young_or_ahead_are_not_final(home, traced, sub):
    box = home.maildir
    fill(box, 120, sized=False)
    place = ("new", "cur").index(sub)
    for seconds in (0, 1, -60, -86400):
        shutil.rmtree(box.at("pop3d"), ignore_errors=True)
        age(box)
        then = time.time() - seconds
        os.utime(box.at(sub), (then, then))
        _, trace = traced()
        assert final_marks(box)[place] == 0 and final_marks(box)[1 - place] == 1, seconds
        # Nothing has changed, and yet it is read: only new/ if only new/ is not final, otherwise
        # both.
        _, trace = traced()
        assert trace.count("getdents64") >= (4 if sub == "new" else 6), (seconds, trace)
    shutil.rmtree(box.at("pop3d"))
    age(box)
    traced()
    assert final_marks(box) == [1, 1]
    _, trace = traced()
    assert trace.count("getdents64") == 2, trace


class Model:
    """Random changes to a Maildir, and the expected result."""

    def __init__(self, lab, home, seed):
        self.lab, self.home, self.box = lab, home, home.maildir
        self.rng = random.Random(f"index {seed}")
        self.serial = 0
        fill(self.box, self.rng.choice((3, 110, 300)), sized=self.rng.random() < 0.7)

    def some(self, *subs):
        names = self.box.names(*subs)
        return self.rng.sample(names, min(len(names), self.rng.randint(1, 5)))

    def deliver(self):
        for _ in range(self.rng.randint(1, 5)):
            self.serial += 1
            body = b"line\n" * self.rng.randint(0, 9) + b"." * self.rng.randint(0, 3)
            wire = len(body.replace(b"\n", b"\r\n")) + (0 if body.endswith(b"\n") or not body else 2)
            name = f"{self.rng.randint(1, 1 << 31)}.M{self.rng.randint(0, 99)}P{self.serial}.h"
            name += self.rng.choice(("", f",W={wire}", f",S={len(body)}"))
            self.box.add(name, body, self.rng.choice(("new", "new", "cur")))

    def flag(self):
        for name in self.some("cur"):
            flags = "".join(sorted(self.rng.sample("DFRST", self.rng.randint(0, 5))))
            to = name.partition(b":")[0] + b":2," + flags.encode()
            if not os.path.exists(self.box.at(to)):
                os.rename(self.box.at(name), self.box.at(to))

    def move(self):
        for name in self.some("new"):
            os.rename(self.box.at(name), self.box.at(b"cur" + name[3:].partition(b":")[0] + b":2,"))

    def remove(self):
        for name in self.some():
            os.remove(self.box.at(name))

    def twin(self):
        for name in self.some("cur")[:1]:
            to = b"new" + name[3:].partition(b":")[0]
            if not os.path.exists(self.box.at(to)):
                self.rng.choice((os.link, shutil.copy))(self.box.at(name), self.box.at(to))
                harness.own(self.box.at(to))

    def step_clock(self):
        """As if the clock were set back or forward, or a backup restored."""
        for sub in ("new", "cur"):
            if self.rng.random() < 0.7:
                then = time.time() - self.rng.choice((-7200, 0, 3, 3600, 86400))
                os.utime(self.box.at(sub), (then, then))

    def use(self):
        count = int(session(self.lab, self.home)[1].split()[1])
        server = self.lab.session(self.home)
        server.line()
        for number in self.rng.sample(range(1, count + 1), min(count, 6)):
            if self.rng.random() < 0.5:
                server.ask_multi(f"RETR {number}")
            else:
                server.ask(f"DELE {number}")
        if self.rng.random() < 0.7:
            server.quit()
            server.ended()

    def settle(self):
        age(self.box, self.rng.randint(10, 1000))
        session(self.lab, self.home)

    def forget(self):
        if os.path.exists(index_of(self.box)):
            os.remove(index_of(self.box))

    def run(self, steps):
        done = []
        for _ in range(steps):
            step = self.rng.choice((self.deliver, self.flag, self.move, self.remove, self.twin,
                                    self.step_clock, self.use, self.settle, self.settle,
                                    self.forget))
            step()
            done.append(step.__name__)
            try:
                same_as_without(self.lab, self.home)
            except AssertionError as error:
                raise AssertionError(f"steps: {done}") from error


@pytest.mark.parametrize("seed", range(MODELS))
def test_listing_with_the_index_is_that_without(lab, home, seed):
    Model(lab, home, seed).run(30)


def test_two_sessions_at_once_leave_one_good_index(lab, home):
    fill(home.maildir, 400, sized=False)
    for turn in range(5):
        age(home.maildir, 3600 + turn)
        home.maildir.add(f"{1700000000 + turn}.x", b"x\n", "cur")
        servers = [lab.session(home) for _ in range(4)]
        for server in servers:
            assert server.line().startswith(f"+OK {401 + turn} ")
        for server in servers:
            server.send(b"QUIT\r\n")
        for server in servers:
            server.line()
            server.ended()
        assert os.listdir(home.maildir.at("pop3d")) == [b"index"]
        same_as_without(lab, home)


def test_a_folder_of_an_imap_server_around_the_index_harms_nothing(lab, home):
    """Dovecot with LAYOUT=fs takes pop3d/ for a folder, and puts mail there."""
    fill(home.maildir, 150)
    make_index(lab, home)
    for part in ("new", "cur", "tmp"):
        os.mkdir(home.maildir.at("pop3d", part), 0o777)
        with open(home.maildir.at("pop3d", part, "1.a"), "wb") as file:
            file.write(b"Subject: x\n\nnot here\n")
    with open(home.maildir.at("pop3d", "dovecot-uidlist"), "wb") as file:
        file.write(b"3 V1 N1\n")
    assert same_as_without(lab, home)[1].startswith("+OK 150 ")
    fill(home.maildir, 1, first=150)
    assert same_as_without(lab, home)[1].startswith("+OK 151 ")
    for part in ("new", "cur", "tmp"):
        assert os.listdir(home.maildir.at("pop3d", part)) == [b"1.a"]


def test_index_removed_in_a_session_is_no_loss(lab, home):
    fill(home.maildir, 3000)
    make_index(lab, home)
    expected = session(lab, home, options=["--no-index"])
    server = lab.session(home)
    server.line()
    shutil.rmtree(home.maildir.at("pop3d"))
    assert server.listing("UIDL") == expected[3]
    assert server.ask_multi("RETR 3000")[0].startswith("+OK")
    assert server.quit().startswith("+OK")
    server.ended()


def ends_unanswered(server, command):
    """The session ends without an answer that could be wrong, and the log says why."""
    server.send(command.encode() + b"\r\n")
    assert server.line() is None, server.report()
    server.ended()
    assert "index-broken errno=" in server.log(), server.report()
    assert "reason=index-broken" in server.log(), server.report()


@pytest.mark.parametrize("command", ["RETR 2900", "TOP 2900 0", "LIST 2900", "UIDL 2900",
                                     "DELE 2900"])
@pytest.mark.parametrize("damage", ["cut", "zeroes", "noise"])
def test_index_that_breaks_in_a_session_ends_it(lab, home, damage, command):
    fill(home.maildir, 3000)
    make_index(lab, home)
    server = lab.session(home)
    server.line()
    assert server.ask("DELE 2") == "+OK message 2 deleted"
    before = home.maildir.names()
    size = os.path.getsize(index_of(home.maildir))
    with open(index_of(home.maildir), "r+b") as file:
        if damage == "cut":
            file.truncate(4096)
        else:
            file.write(bytes(size) if damage == "zeroes" else random.Random(1).randbytes(size))
    ends_unanswered(server, command)
    assert home.maildir.names() == before
    assert not os.path.exists(index_of(home.maildir))
    same_as_without(lab, home)


@pytest.mark.parametrize("command", ["LIST", "UIDL"])
def test_listing_that_breaks_off_has_no_end(lab, home, command):
    fill(home.maildir, 3000)
    make_index(lab, home)
    expected = session(lab, home, options=["--no-index"])[2 if command == "LIST" else 3]
    make_index(lab, home)
    server = lab.session(home)
    server.line()
    with open(index_of(home.maildir), "r+b") as file:
        file.truncate(16384)
    server.send(command.encode() + b"\r\n")
    assert server.line().startswith("+OK")
    lines = list(iter(server.line, None))
    assert "." not in lines
    for line in lines[:-1]:
        number, value = line.split(" ")
        assert expected[int(number)] == value
    server.ended()
    assert not os.path.exists(index_of(home.maildir))


def test_update_with_an_index_that_breaks_tells_what_is_left(lab, home):
    fill(home.maildir, 3000)
    make_index(lab, home)
    server = lab.session(home)
    server.line()
    for number in (1, 2, 2999):
        assert server.ask(f"DELE {number}") == f"+OK message {number} deleted"
    assert server.ask("LIST 1").startswith("-ERR")
    before = home.maildir.names()
    with open(index_of(home.maildir), "r+b") as file:
        file.truncate(8192)
    assert server.quit().startswith("-ERR [SYS/TEMP]")
    server.ended()
    assert set(home.maildir.names()) < set(before) or home.maildir.names() == before
    assert len(home.maildir.names()) >= 2997
    same_as_without(lab, home)


# -- intact indexes that lie


def stir(total, word):
    product = (total ^ word) * 0x9e3779b97f4a7c15 & (1 << 64) - 1
    return (product << 29 | product >> 35) & (1 << 64) - 1


def page_sum(nonce, number, payload):
    """index_sum of index_read.c."""
    words = struct.unpack("=511Q", payload)
    lanes = [nonce, number, 1, 2]
    for at, word in enumerate(words):
        lane = at % 4 if at < 508 else 0
        lanes[lane] = stir(lanes[lane], word)
    for lane in lanes:
        nonce = stir(nonce, lane)
    return nonce


def forge(box, count=None, new_count=None):
    """The index claims to describe the directories as they are now, with so many messages."""
    with open(index_of(box), "r+b") as file:
        page = bytearray(file.read(4096))
        for at, sub in ((24, "new"), (72, "cur")):
            st = os.stat(box.at(sub))
            struct.pack_into("=qqII", page, at + 16, st.st_mtime_ns // 10**9,
                             st.st_ctime_ns // 10**9, st.st_mtime_ns % 10**9,
                             st.st_ctime_ns % 10**9)
            struct.pack_into("=Q", page, at + 40, 1)
        if count is not None:
            struct.pack_into("=QQ", page, 120, count, new_count)
            names, = struct.unpack_from("=Q", page, 168)
            file.truncate(-(-(184 + 24 * count + names) // 4088) * 4096)
        nonce, = struct.unpack_from("=Q", page, 16)
        struct.pack_into("=Q", page, 4088, page_sum(nonce, 0, page[:4088]))
        file.seek(0)
        file.write(page)


def test_index_with_a_message_that_is_missing_is_not_used_twice(lab, home):
    fill(home.maildir, 150)
    make_index(lab, home)
    os.remove(home.maildir.at(home.maildir.names("cur")[0]))
    home.maildir.add("2000000000.M1P1.host,W=3", b"x\n")
    age(home.maildir)
    forge(home.maildir)
    server = lab.session(home)
    server.line()
    assert server.ask("STAT").startswith("+OK 150 ")  # The new one is not among them.
    assert server.ask("RETR 1").startswith("-ERR")
    assert server.ask_multi("RETR 2")[0].startswith("+OK")
    server.quit()
    server.ended()
    seen = same_as_without(lab, home)
    assert seen[3][150] == "2000000000.M1P1.host,W=3"


def test_index_that_breaks_is_not_used_twice(lab, home):
    fill(home.maildir, 150)
    make_index(lab, home)
    forge(home.maildir, 200, 0)
    server = lab.session(home)
    server.line()
    ends_unanswered(server, "LIST 200")
    same_as_without(lab, home)


def test_index_that_claims_four_billion_messages_is_no_work(lab, home):
    home.maildir.add("1.a", b"x\n")
    age(home.maildir)
    session(lab, home)
    before = home.maildir.names()
    forge(home.maildir, 1 << 32, 1)
    server = lab.session(home)
    server.line()
    assert server.ask("STAT").startswith(f"+OK {1 << 32} ")
    assert server.ask("DELE 5").startswith("+OK")
    assert server.quit().startswith("-ERR [SYS/TEMP] 1 deleted message not removed")
    server.ended()
    assert home.maildir.names() == before
    same_as_without(lab, home)


def test_moved_messages_are_found_from_the_index(lab, home):
    fill(home.maildir, 150)
    make_index(lab, home)
    server = lab.session(home)
    server.line()
    for name in home.maildir.names("cur")[:50]:
        os.rename(home.maildir.at(name), home.maildir.at(name.replace(b":2,S", b":2,FRS")))
    os.remove(home.maildir.at(home.maildir.names("cur")[60]))
    assert server.ask_multi("RETR 3")[0].startswith("+OK")
    assert server.ask("DELE 5").startswith("+OK")
    assert server.ask("RETR 61").startswith("-ERR")
    assert server.quit() == f"+OK {HOST} POP3 server signing off (149 messages left)"
    server.ended()
    assert len(home.maildir.names("cur")) == 148
    same_as_without(lab, home)


def test_update_looks_once_for_all_that_others_removed(home, traced):
    fill(home.maildir, 300)
    age(home.maildir)
    traced()
    seen, trace = traced(*[f"DELE {n}" for n in range(1, 301, 2)])
    assert trace.count("getdents64") <= 8, trace[-3000:]
    assert len(home.maildir.names("cur")) == 150


def test_two_sessions_that_delete_the_same_read_the_directories_once(lab, home):
    fill(home.maildir, 400)
    make_index(lab, home)
    servers = [lab.session(home) for _ in range(2)]
    for server in servers:
        server.line()
        for number in range(1, 301):
            assert server.ask(f"DELE {number}").startswith("+OK")
    for server in servers:
        assert server.quit() == f"+OK {HOST} POP3 server signing off (100 messages left)"
        server.ended()
    assert len(home.maildir.names("cur")) == 100


# -- other things in the place of the index


def make_sparse(path):
    with open(path, "wb") as file:
        file.truncate(10 << 30)


@pytest.mark.parametrize("thing", ["symlink", "fifo", "directory", "sparse", "device", "empty",
                                   "garbage", "foreign", "unreadable"])
def test_anything_else_in_its_place_is_passed_by(lab, home, thing):
    box = home.maildir
    fill(box, 150)
    make_index(lab, home)
    path = index_of(box)
    saved = box.at("saved")
    os.rename(path, saved)
    if thing == "foreign":
        other = harness.Home(lab)
        fill(other.maildir, 150, first=1000)
        make_index(lab, other)
        shutil.copy(index_of(other.maildir), path)
    {"symlink": lambda: os.symlink("../saved", path), "fifo": lambda: os.mkfifo(path),
     "directory": lambda: os.mkdir(path), "sparse": lambda: make_sparse(path),
     "device": lambda: os.symlink("/dev/zero", path), "empty": lambda: open(path, "wb").close(),
     "garbage": lambda: shutil.copy(shutil.which("sh"), path), "foreign": lambda: None,
     "unreadable": lambda: (shutil.copy(saved, path), os.chmod(path, 0))}[thing]()
    harness.own(path)
    age(box, 7200)
    same_as_without(lab, home)
    same_as_without(lab, home)
    if thing == "directory":
        assert os.path.isdir(path)
        assert os.listdir(box.at("pop3d")) == [b"index"]
    else:
        assert stat.S_ISREG(os.lstat(path).st_mode) and os.path.getsize(path) < 1 << 20


@pytest.mark.parametrize("thing", ["file", "symlink", "foreign"])
def test_anything_else_in_the_place_of_its_directory_is_left_alone(lab, home, thing):
    box = home.maildir
    fill(box, 150)
    age(box)
    path = box.at("pop3d")
    elsewhere = os.path.join(home.path, "elsewhere")
    os.mkdir(elsewhere)
    harness.own(elsewhere)
    if thing == "foreign" and not ROOT:
        pytest.skip("only root can give it to another")
    {"file": lambda: open(path, "wb").close(), "symlink": lambda: os.symlink(elsewhere, path),
     "foreign": lambda: (os.mkdir(path, 0o777), os.chmod(path, 0o777))}[thing]()
    same_as_without(lab, home)
    assert os.listdir(elsewhere) == []
    if thing == "foreign":
        assert os.listdir(path) == []


# -- where the index cannot be written


@pytest.fixture
def tmpfs(lab):
    """Makes homes on a tmpfs of so many MiB."""
    mounted = []

    def overlay(path):
        """An overlay on that tmpfs, below it."""
        for name in ("lower", "upper", "work", "all"):
            os.mkdir(os.path.join(path, name))
        at = {name: os.path.join(path, name) for name in ("lower", "upper", "work")}
        done = subprocess.run(["mount", "-t", "overlay", "-o", "lowerdir={lower},upperdir={upper},"
                               "workdir={work}".format(**at), "none",
                               os.path.join(path, "all")], capture_output=True, check=False)
        if done.returncode != 0:
            pytest.skip("cannot mount an overlay")
        mounted.append(os.path.join(path, "all"))
        return mounted[-1]

    def make(mebibytes, overlaid=False):
        path = os.path.join(lab.directory, f"tmpfs{len(mounted)}")
        os.makedirs(path)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mebibytes}M,mode=755",
                               "none", path], capture_output=True, check=False)
        if done.returncode != 0:
            os.rmdir(path)
            pytest.skip("cannot mount a tmpfs")
        mounted.append(path)
        if overlaid:
            path = overlay(path)
        home = harness.Home(lab)
        shutil.move(home.path, path)
        home.path = os.path.join(path, os.path.basename(home.path))
        subprocess.run(["chown", "-R", f"{harness.MAIL_UID}:{harness.MAIL_GID}", home.path],
                       check=True)
        home.maildir.path = os.fsencode(os.path.join(home.path, "Maildir"))
        return home

    yield make
    for path in reversed(mounted):
        subprocess.run(["umount", path], check=True)
        if not path.endswith("/all"):
            os.rmdir(path)


def test_full_disk_costs_nothing_but_the_index(lab, tmpfs):
    home = tmpfs(1)
    box = home.maildir
    for n in range(300):
        box.add(f"{1000000000 + n}.{'n' * 200},W=0:2,", b"", "cur")
    make_index(lab, home)
    before = os.stat(index_of(box))
    for n in range(300, 400):
        box.add(f"{1000000000 + n}.{'n' * 200},W=0:2,", b"", "cur")
    filler = os.open(os.path.join(home.path, "filler"), os.O_WRONLY | os.O_CREAT)
    with pytest.raises(OSError) as error:
        while True:
            os.write(filler, bytes(4096))
    assert error.value.errno == errno.ENOSPC
    age(box)
    assert session(lab, home)[1] == "+OK 400 0"
    assert os.listdir(box.at("pop3d")) == [b"index"]
    assert os.stat(index_of(box)).st_ino == before.st_ino
    assert session(lab, home, "DELE 1")[1] == "+OK 400 0"
    assert session(lab, home)[1] == "+OK 399 0"
    os.close(filler)


def test_read_only_maildir_costs_nothing_but_the_index(lab, tmpfs):
    home = tmpfs(16)
    fill(home.maildir, 150)
    age(home.maildir)
    mount = os.path.dirname(home.path)
    subprocess.run(["mount", "-o", "remount,ro", mount], check=True)
    same_as_without(lab, home)
    assert not os.path.exists(home.maildir.at("pop3d"))
    subprocess.run(["mount", "-o", "remount,rw", mount], check=True)
    session(lab, home)
    home.maildir.add("1.a,W=3:2,", b"x\n", "cur")
    age(home.maildir)
    subprocess.run(["mount", "-o", "remount,ro", mount], check=True)
    assert same_as_without(lab, home)[1].startswith("+OK 151 ")
    assert os.listdir(home.maildir.at("pop3d")) == [b"index"]


def test_directory_without_permission_costs_nothing_but_the_index(lab, home):
    fill(home.maildir, 150)
    make_index(lab, home)
    home.maildir.add("1.a,W=3:2,", b"x\n", "cur")
    age(home.maildir)
    os.chmod(home.maildir.at("pop3d"), 0o500)
    assert same_as_without(lab, home)[1].startswith("+OK 151 ")
    os.chmod(home.maildir.at("pop3d"), 0)
    assert same_as_without(lab, home)[1].startswith("+OK 151 ")


def test_limit_of_file_size_does_not_kill_the_session(lab, home):
    fill(home.maildir, 400)
    age(home.maildir)
    seen = session(lab, home, wrapper=["prlimit", "--fsize=8192", "--"])
    assert seen[1].startswith("+OK 400 ")
    assert os.listdir(home.maildir.at("pop3d")) == []


@pytest.mark.skipif(bool(os.environ.get("ASAN_OPTIONS")), reason="sanitizers need address space")
def test_memory_does_not_grow_with_the_maildrop(lab, home):
    """With an index a session needs no more address space for 20,000 messages than for none."""
    for n in range(20000):
        with open(home.maildir.at("cur", f"{1000000000 + n}.M{n}P1.mx1.example.org,W=0:2,S"), "wb"):
            pass
    age(home.maildir)
    session(lab, home)
    # The program itself, its stack and the vdso. Entries in memory would take 2 MiB more.
    limited = ["prlimit", f"--as={2200 << 10}", "--"]
    seen = session(lab, home, "DELE 20000", "RETR 1", "RSET", wrapper=limited)
    assert seen[1] == "+OK 20000 0" and len(seen[3]) == 20000
    # The same without an index shows that the limit works.
    server = lab.session(home, "--no-index", wrapper=limited)
    assert server.line().startswith("-ERR [SYS/TEMP]"), server.report()

def private_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="latin-1") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Private_"))


@pytest.mark.parametrize("count", [0, 1, 2, 99, 100, 101, 1000])
def test_any_number_of_messages(lab, home, count):
    fill(home.maildir, count)
    age(home.maildir)
    for _ in range(2):
        same_as_without(lab, home)
    server = lab.session(home)
    server.line()
    for number in range(1, count + 1):
        server.send(f"DELE {number}\r\n".encode())
    for number in range(1, count + 1):
        assert server.line() == f"+OK message {number} deleted"
    assert server.quit() == f"+OK {HOST} POP3 server signing off (maildrop empty)"
    server.ended()
    assert same_as_without(lab, home)[1] == "+OK 0 0"


@pytest.mark.skipif(not LARGE, reason="make check-large")
def test_a_million_messages(lab, tmpfs):
    home = tmpfs(8192)
    fd = os.open(home.maildir.at("cur"), os.O_RDONLY)
    order = list(range(LARGE))
    random.Random(1).shuffle(order)
    for n in order:
        os.close(os.open(f"{1000000000 + n}.M{n}P1.mx1.example.org,W={n % 1000}:2,S",
                         os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=fd))
    os.close(fd)
    age(home.maildir)
    total = sum(n % 1000 for n in range(LARGE))
    for _ in range(2):
        seen = session(lab, home)
        assert seen[1] == f"+OK {LARGE} {total}"
        assert len(seen[2]) == len(seen[3]) == LARGE
    server = lab.session(home)
    assert server.line() == f"+OK {LARGE} messages ({total} octets)"
    if ROOT:
        assert private_kib(server.process.pid) < 400
    for command in ("DELE 1", f"DELE {LARGE}"):
        assert server.ask(command).startswith("+OK")
    assert server.quit() == f"+OK {HOST} POP3 server signing off ({LARGE - 2} messages left)"
    server.ended()
