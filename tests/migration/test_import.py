"""pop3d --import-uids: unique ids taken over for many Maildirs, before the switch."""
import os
import subprocess

import pytest

import harness
from harness import MAIL_GID, MAIL_UID, ROOT
from test_uidl import CONTENT, DOVECOT, NAMES, UIDLIST, fill, own_uids, uidl, write


def run(lab, *words, text=None, **how):
    return subprocess.run([lab.pop3d, "--import-uids", *words], input=text, capture_output=True,
                          text=True, check=False, env=lab.environment(), timeout=60, **how)


def siphash(text):
    """The sum of lib/siphash.c with the key of pop3d-uids."""
    mask = (1 << 64) - 1
    key = 0x706f7033642d7569, 0x64732d7265636f72
    v = [key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d,
         key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573]

    def half(a, b, c, d, turn_b, turn_d):
        for one, other, turn in ((a, b, turn_b), (c, d, turn_d)):
            v[one] = (v[one] + v[other]) & mask
            v[other] = ((v[other] << turn | v[other] >> (64 - turn)) & mask) ^ v[one]
        v[a] = (v[a] << 32 | v[a] >> 32) & mask

    def rounds(count):
        for _ in range(count):
            half(0, 1, 2, 3, 13, 16)
            half(2, 1, 0, 3, 17, 21)

    whole = len(text) // 8 * 8
    words = [int.from_bytes(text[i:i + 8], "little") for i in range(0, whole, 8)]
    for word in [*words, int.from_bytes(text[whole:], "little") | (len(text) & 0xff) << 56]:
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 0xff
    rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def maildir(home):
    return os.fsdecode(home.maildir.path)


@pytest.fixture
def homes(lab):
    """Two users: one with messages from Dovecot, one whom it never saw."""
    found = [fill(harness.Home(lab)), fill(harness.Home(lab))]
    write(found[0], "dovecot-uidlist", UIDLIST)
    return found


TAKEN = "7 messages: 6 taken over, 0 the same anyway, 1 new to the old server"
NONE = "7 messages: 0 taken over, 0 the same anyway, 7 new to the old server; there is no dovecot-uidlist"
SUM = "2 Maildirs; 14 messages: 6 taken over, 0 the same anyway, 8 new to the old server"


def test_a_dry_run_says_what_would_be_and_writes_nothing(lab, homes):
    before = [home.maildir.state() for home in homes]
    done = run(lab, "dovecot", *map(maildir, homes))
    assert done.returncode == 0 and done.stderr == "", done
    assert done.stdout.splitlines() == [f"{maildir(homes[0])}: {TAKEN}", f"{maildir(homes[1])}: {NONE}",
                                        SUM, "This was a dry run: --write writes."]
    assert [home.maildir.state() for home in homes] == before
    assert uidl(lab, homes[0])[0] == own_uids(lab, NAMES)


def test_write_decides_for_good(lab, homes):
    done = run(lab, "dovecot", "--write", "--", *map(maildir, homes))
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == SUM, done
    for home, expected in zip(homes, (DOVECOT, own_uids(lab, NAMES))):
        st = os.stat(home.maildir.at("pop3d-uids"))
        assert (st.st_uid, st.st_mode & 0o777) == (MAIL_UID, 0o600)
        assert uidl(lab, home)[0] == expected
    again = run(lab, "courier", "--write", *map(maildir, homes))
    assert again.returncode == 0
    assert again.stdout.count(": was decided before: dovecot:%08Xu%08Xv\n") == 2
    assert "2 Maildirs, 2 decided before; 0 messages" in again.stdout
    assert uidl(lab, homes[0])[0] == DOVECOT


def test_maildirs_from_standard_input(lab, homes):
    done = run(lab, "dovecot", "--write", text="".join(f"{maildir(home)}\n" for home in homes))
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == SUM, done
    assert uidl(lab, homes[0])[0] == DOVECOT


def test_maildirs_of_a_password_file(lab, homes, tmp_path):
    table = tmp_path / "passwd"
    table.write_text(f"# users\none:!:{MAIL_UID}:{MAIL_GID}:{homes[0].path}\n"
                     f"two:$6$x$y:{MAIL_UID}:{MAIL_GID}:/nowhere:{maildir(homes[1])}\n")
    done = run(lab, "dovecot", "--write", "--file", str(table))
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == SUM, done
    assert uidl(lab, homes[0])[0] == DOVECOT


def test_a_pattern_of_the_password_file_is_a_home_for_each_login(lab, homes, tmp_path):
    where, name = os.path.split(os.fsdecode(homes[0].path))
    table = tmp_path / "passwd"
    table.write_text(f"{name}@example.org:!:{MAIL_UID}:{MAIL_GID}:{where}/%n\n"
                     f"nobody:!:{MAIL_UID}:{MAIL_GID}:{where}/%d\n"
                     f"two:!:{MAIL_UID}:{MAIL_GID}:/nowhere:{where}/%u{name}/../{name}\n")
    done = run(lab, "dovecot", "--write", "--file", str(table))
    assert f"{maildir(homes[0])}: {TAKEN}\n" in done.stdout, done
    assert "line 2: a part of the login that its home needs is empty\n" in done.stderr
    assert f"{where}/two{name}/../{name}: No such file" in done.stderr
    assert done.returncode == 111 and uidl(lab, homes[0])[0] == DOVECOT


def test_what_a_user_wrote_reaches_no_terminal(lab, homes):
    """The sums of pop3d-uids keep nobody from writing one."""
    assert run(lab, "dovecot", "--write", maildir(homes[1])).returncode == 0
    path = homes[1].maildir.at("pop3d-uids")
    with open(path, "rb") as file:
        first = file.readline()
    kind = b"%1B]0;x%07"
    rest = first.split(b" ")[3] + b" " + kind
    with open(path, "wb") as file:
        file.write(b"pop3d-uids 1 %016x %s\n" % (siphash(rest), rest))
    done = run(lab, "dovecot", maildir(homes[1]))
    assert done.returncode == 0 and "\x1b" not in done.stdout and r"\x1b]0;x\x07" in done.stdout, done


def test_one_that_fails_does_not_stop_the_others(lab, homes):
    write(homes[0], "dovecot-uidlist", b"5 of another version\n")
    done = run(lab, "dovecot", "--write", "/nowhere/Maildir", *map(maildir, homes))
    assert done.returncode == 111
    assert "/nowhere/Maildir: No such file" in done.stderr
    assert f"{maildir(homes[0])}: dovecot-uidlist: it makes no sense" in done.stderr
    assert "3 Maildirs, 2 failed; 7 messages" in done.stdout
    assert not os.path.exists(homes[0].maildir.at("pop3d-uids"))
    assert os.path.exists(homes[1].maildir.at("pop3d-uids"))


@pytest.mark.parametrize("words", [[], ["cyrus"], ["dovecot", "--wrong"], ["dovecot", "--file"],
                                   ["dovecot", "--file", "x", "y"]])
def test_wrong_use(lab, words):
    done = run(lab, *words)
    assert done.returncode == 100 and "usage: pop3d --import-uids" in done.stderr


@pytest.mark.skipif(not ROOT, reason="needs root")
def test_root_has_the_rights_of_the_owner(lab, home, tmp_path):
    """A user's link in the place of the list leads to no file that he cannot read."""
    fill(home)
    secret = tmp_path / "secret"
    secret.write_bytes(UIDLIST)
    secret.chmod(0o600)
    os.symlink(secret, home.maildir.at("dovecot-uidlist"))
    done = run(lab, "dovecot", "--write", maildir(home))
    assert done.returncode == 111 and not os.path.exists(home.maildir.at("pop3d-uids"))
    os.unlink(home.maildir.at("dovecot-uidlist"))
    os.link(secret, home.maildir.at("dovecot-uidlist"))
    assert run(lab, "dovecot", "--write", maildir(home)).returncode == 111
    home.maildir.add(b"1700000009.x", CONTENT)


def test_show_lists_the_unique_ids_that_were_taken_over(lab, homes):
    run(lab, "dovecot", "--write", maildir(homes[0]))
    shown = subprocess.run([lab.pop3d, "--show", maildir(homes[0])], capture_output=True, text=True,
                           check=True, env=lab.environment()).stdout.splitlines()
    assert [line.split()[2] for line in shown[1:-1]] == [uid.decode() for uid in DOVECOT]


@pytest.mark.skipif(not ROOT, reason="needs root")
def test_the_user_of_the_password_file_counts_and_not_the_owner(lab, homes, tmp_path):
    """A user's link in the place of the Maildir gives nobody else's rights."""
    os.chmod(homes[1].path, 0o755)
    os.chmod(maildir(homes[1]), 0o755)
    table = tmp_path / "passwd"
    table.write_text(f"one:!:{MAIL_UID + 1}:{MAIL_GID}:{homes[1].path}\n")
    done = run(lab, "dovecot", "--write", "--file", str(table))
    assert done.returncode == 111 and "Permission denied" in done.stderr, done
    assert not os.path.exists(homes[1].maildir.at("pop3d-uids"))


@pytest.mark.skipif(not ROOT, reason="needs root")
@pytest.mark.parametrize("command", [["--import-uids", "dovecot", "--write"], ["--show"]])
def test_the_path_is_followed_once(lab, homes, command, tmp_path):
    """Between two looks, a link of the user could lead from root's directory to another one."""
    trace = tmp_path / "trace"
    subprocess.run(["strace", "-f", "-e", "trace=%file", "-o", trace, lab.pop3d, *command,
                    maildir(homes[0])], check=True, env=lab.environment(), stdout=subprocess.DEVNULL)
    uses = [line for line in trace.read_text().splitlines()
            if f'"{maildir(homes[0])}"' in line and "execve" not in line]
    assert len(uses) == 1, uses
