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
