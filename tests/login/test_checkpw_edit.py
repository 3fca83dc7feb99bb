"""pop3d-checkpw --set, --delete and --list: changes of the password file."""
import fcntl
import os
import re
import resource
import shutil
import subprocess
import time

import pytest

from test_checkpw import (GID, HASH, MISCONFIGURED, MISUSED, OTHER_HASH, REFUSED, ROOT, TEMPORARY, UID,
                          checker, crypt_hash, workshop)  # pylint: disable=unused-import

WHO = f"{UID}:{GID}"


def edit(checker, *options, password="secret", preexec=None):
    words = [checker.binary, "-f", checker.file, *options]
    if not checker.as_root and ROOT:
        user = {"user": UID, "group": GID, "extra_groups": []}
    else:
        user = {}
    return subprocess.run(words, input=password + "\n", capture_output=True, text=True, check=False,
                          close_fds=True, preexec_fn=preexec, **user)


def read(checker):
    with open(checker.file, "rb") as file:
        return file.read()


def lines(checker):
    return read(checker).decode("latin-1").splitlines()


def only_its_files(checker):
    return sorted(name for name in os.listdir(checker.directory) if "passwd" in name) == ["passwd"]


def test_set_makes_a_file_with_a_login_that_works(checker):
    os.unlink(checker.file)
    done = edit(checker, "--set", "ann", "--as", WHO, "--home", checker.home)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done
    assert re.fullmatch(rf"ann:\$y\$[^:]+:{UID}:{GID}:{checker.home}\n", read(checker).decode())
    assert os.stat(checker.file).st_mode & 0o7777 == 0o600
    assert checker.login("ann").seen["cwd"] == checker.home
    checker.refuses("ann", "other")


def test_set_adds_a_new_login_at_the_end(checker):
    checker.write("# ours", checker.entry(), end="\n")
    before = read(checker)
    assert edit(checker, "--set", "ann", "--as", WHO, "--home", checker.home).returncode == 0
    assert read(checker).startswith(before) and len(lines(checker)) == 3
    for login in ("joe", "ann"):
        assert checker.login(login).seen["cwd"] == checker.home


def test_set_ends_a_last_line_that_has_no_end(checker):
    with open(checker.file, "wb") as file:
        file.write(checker.entry().encode())
    assert edit(checker, "--set", "ann", "--as", WHO, "--home", "/").returncode == 0
    assert lines(checker)[0] == checker.entry() and lines(checker)[1].startswith("ann:")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_set_changes_the_hash_and_no_other_octet(checker, end):
    others = ["# comment", "", checker.entry("first"), "nonsense", "x" * 5000,
              checker.entry("joe", maildir="in box"), "joey:" + HASH, checker.entry("last", OTHER_HASH)]
    checker.write(*others, end=end)
    os.chmod(checker.file, 0o640)
    before = os.stat(checker.file)
    assert edit(checker, "--set", "joe", password="new").returncode == 0
    text = read(checker).decode("latin-1")
    changed = text.split(end)[5].split(":")
    assert changed[1] != HASH
    changed[1] = HASH
    assert text.split(end)[:5] + [":".join(changed)] + text.split(end)[6:] == others + [""]
    after = os.stat(checker.file)
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino and only_its_files(checker)
    assert checker.login("joe", "new").seen["env"]["MAILDIR"] == "in box"
    checker.refuses("joe", "secret")


@pytest.mark.skipif(not ROOT, reason="another owner needs root")
def test_set_keeps_owner_and_mode(checker):
    os.chmod(checker.file, 0o640)
    os.chown(checker.file, 0 if checker.as_root else UID, GID)
    assert edit(checker, "--set", "joe").returncode == 0
    st = os.stat(checker.file)
    assert (st.st_uid, st.st_gid, st.st_mode & 0o7777) == (
        0 if checker.as_root else UID, GID, 0o640)


def test_set_leaves_one_line_of_a_login_that_has_several(checker):
    checker.write(checker.entry(home="/nowhere"), checker.entry("ann"), checker.entry("joe", "!"),
                  checker.entry("joe", OTHER_HASH), "# end")
    done = edit(checker, "--set", "joe")
    assert done.returncode == 0 and re.search(
        rf"checkpw-lines-removed file={checker.file} user=joe lines=2\n", done.stderr), done
    assert [line.split(":")[0] for line in lines(checker)] == ["ann", "joe", "# end"]
    result = checker.login()
    assert result.seen["cwd"] == checker.home and result.err == ""


@pytest.mark.parametrize("hashed", ["!", "*x", "", "{PLAIN}secret", "$1$salt$x", "x"])
def test_set_mends_a_line_that_no_login_could_use(checker, hashed):
    checker.write(checker.entry(hashed=hashed))
    checker.refuses()
    assert edit(checker, "--set", "joe").returncode == 0
    assert checker.login().seen["cwd"] == checker.home


def test_set_keeps_the_form_of_a_passwd_line(checker):
    rest = f"{UID}:{GID}:Joe, ü:{checker.home}:/bin/ksh:userdb_mail=maildir:~/in"
    checker.write(f"joe:{{SHA512-CRYPT}}{crypt_hash('x', '$6$', 1000)}:{rest}")
    assert edit(checker, "--set", "joe").returncode == 0
    assert lines(checker)[0].split(":", 2)[2] == rest.encode().decode("latin-1") or \
        lines(checker)[0].split(":", 2)[2] == rest
    seen = checker.login().seen
    assert (seen["env"]["MAILDIR"], seen["env"]["SHELL"]) == ("in", "/bin/ksh")


def test_set_changes_owner_and_home_where_they_are_given(checker):
    checker.write(f"joe:{HASH}:77:78:gecos:/old:/bin/sh", checker.entry("ann"))
    assert edit(checker, "--set", "joe", "--as", WHO, "--home", "/new").returncode == 0
    assert lines(checker)[0].split(":")[2:] == [str(UID), str(GID), "gecos", "/new", "/bin/sh"]
    assert edit(checker, "--set", "ann", "--home", "/new").returncode == 0
    assert lines(checker)[1].split(":")[2:] == [str(UID), str(GID), "/new"]


@pytest.mark.parametrize("options", [[], ["--home", "/"]])
def test_set_of_a_new_login_needs_owner_and_home(checker, options):
    before = os.stat(checker.file)
    done = edit(checker, "--set", "nobody-of-this-host", *options)
    assert done.returncode == REFUSED and "--as" in done.stderr
    assert os.stat(checker.file).st_ino == before.st_ino
    os.unlink(checker.file)
    assert edit(checker, "--set", "nobody-of-this-host", *options).returncode == REFUSED
    assert not os.path.exists(checker.file)


@pytest.mark.skipif(not ROOT, reason="the account has to be another one")
def test_set_of_a_new_login_takes_the_account_of_that_name(checker):
    assert edit(checker, "--set", "daemon").returncode == 0
    assert lines(checker)[-1].split(":")[2:] == ["1", "1", "/usr/sbin"]
    assert edit(checker, "--set", "root").returncode == REFUSED
    assert edit(checker, "--set", "ann", "--as", "root", "--home", "/").returncode == REFUSED
    assert edit(checker, "--set", "ann", "--as", "no-such-user", "--home", "/").returncode == REFUSED


def test_set_never_makes_a_line_that_cannot_be_used(checker):
    checker.write("joe:x", f"ann:{HASH}:x:y:/")
    before = read(checker)
    for login in ("joe", "ann"):
        done = edit(checker, "--set", login)
        assert done.returncode == REFUSED and "checkpw-not-changed" in done.stderr, done
    assert read(checker) == before and only_its_files(checker)


def test_logins_are_folded_and_completed_as_at_login(checker):
    options = ["--fold-login", "--default-domain", "example.org"]
    assert edit(checker, *options, "--set", "Ann", "--as", WHO, "--home", checker.home).returncode == 0
    assert lines(checker)[-1].startswith("ann@example.org:")
    assert edit(checker, *options, "--set", "ANN@Example.org").returncode == 0
    assert len(lines(checker)) == 2
    for login in ("ann", "ANN", "Ann@EXAMPLE.ORG"):
        seen = checker.login(login, options=["-f", checker.file, *options]).seen
        assert seen["env"]["USER"] == "ann@example.org"
    assert edit(checker, *options, "--delete", "aNN").returncode == 0
    assert lines(checker) == [checker.entry()]


def test_delete_removes_every_line_of_the_login(checker):
    checker.write("# joe:", checker.entry(), checker.entry("joey"), "joe:nonsense", checker.entry("ann"))
    done = edit(checker, "--delete", "joe")
    assert done.returncode == 0 and done.stdout == "", done
    assert lines(checker) == ["# joe:", checker.entry("joey"), checker.entry("ann")]
    checker.refuses()


def test_delete_of_an_unknown_login_changes_nothing(checker):
    before = os.stat(checker.file)
    for login in ("ann", "jo", "joe:", "#", ""):
        assert edit(checker, "--delete", login).returncode in (REFUSED, MISUSED)
    assert os.stat(checker.file).st_ino == before.st_ino
    os.unlink(checker.file)
    assert edit(checker, "--delete", "joe").returncode == MISCONFIGURED
    assert not os.path.exists(checker.file)


def test_list_shows_logins_and_never_hashes(checker):
    checker.write(checker.entry("joe", maildir="in"), "# x", checker.entry("ann", "!" + HASH),
                  checker.entry("zoe", crypt_hash("x", "$6$", 1000)), "nonsense:" + HASH,
                  checker.entry("joe", OTHER_HASH), checker.entry("ann", OTHER_HASH))
    done = edit(checker, "--list")
    assert done.returncode == 0
    assert done.stdout == "".join(
        f"{login}\t{kind}\t{UID}\t{GID}\t{checker.home}\t-\n" for login, kind in
        (("ann", "locked"), ("joe", "sha256crypt"), ("zoe", "sha512crypt")))
    assert "checkpw-line-ignored" in done.stderr and "line=5 " in done.stderr
    assert re.search(r"checkpw-line-replaced .* line=1 by=6 user=joe\n", done.stderr)
    assert "$" not in done.stdout + done.stderr


def test_list_needs_no_right_to_write_and_no_lock(checker):
    os.chmod(checker.file, 0o440)
    with open(checker.file, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = edit(checker, "--list")
    assert done.returncode == 0 and done.stdout.startswith("joe\t"), done


def test_list_of_nothing(checker):
    checker.write()
    assert edit(checker, "--list").stdout == ""
    os.unlink(checker.file)
    done = edit(checker, "--list")
    assert done.returncode == MISCONFIGURED and "checkpw-file-unusable" in done.stderr


def test_changes_at_the_same_time_lose_nothing_and_double_nobody(checker):
    checker.write()
    user = {} if checker.as_root or not ROOT else {"user": UID, "group": GID, "extra_groups": []}
    names = [f"u{number % 8}" for number in range(24)]
    running = [subprocess.Popen([checker.binary, "-f", checker.file, "--set", name, "--as", WHO,
                                 "--home", "/"], stdin=subprocess.PIPE, **user) for name in names]
    for process in running:
        process.stdin.write(b"secret\n")
        process.stdin.close()
    assert [process.wait(120) for process in running] == [0] * len(names)
    assert sorted(line.split(":")[0] for line in lines(checker)) == sorted(set(names))
    assert only_its_files(checker)


def test_a_lock_is_waited_for(checker):
    with open(checker.file, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        user = {} if checker.as_root or not ROOT else {"user": UID, "group": GID, "extra_groups": []}
        process = subprocess.Popen([checker.binary, "-f", checker.file, "--delete", "joe"], **user)
        time.sleep(0.5)
        assert process.poll() is None
    assert process.wait(20) == 0 and lines(checker) == []


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_the_new_file_is_synced_before_and_the_directory_after_the_rename(checker):
    trace = os.path.join(checker.directory, "trace")
    if not checker.as_root:
        os.chown(checker.file, os.getuid(), os.getgid())
    done = subprocess.run(["strace", "-o", trace, "-e", "trace=fsync,rename,renameat,renameat2",
                           checker.binary, "-f", checker.file, "--delete", "joe"], check=False,
                          capture_output=True)
    assert done.returncode == 0, done
    with open(trace, encoding="ascii", errors="replace") as file:
        calls = re.findall(r"^(fsync|rename)", file.read(), re.MULTILINE)
    assert calls == ["fsync", "rename", "fsync"]


def test_a_write_that_fails_leaves_the_old_file(checker):
    before = os.stat(checker.file), read(checker)
    done = edit(checker, "--set", "joe",
                preexec=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)))
    assert done.returncode == TEMPORARY, done
    assert read(checker) == before[1] and os.stat(checker.file).st_ino == before[0].st_ino
    assert only_its_files(checker)


def test_a_link_stays_and_its_file_is_changed(checker):
    real = os.path.join(checker.directory, "real")
    os.rename(checker.file, real)
    os.symlink("real", checker.file)
    assert edit(checker, "--delete", "joe").returncode == 0
    assert os.path.islink(checker.file) and os.path.getsize(real) == 0


def test_a_file_that_others_can_write_is_not_changed(checker):
    os.chmod(checker.file, 0o666)
    for options in (["--set", "joe"], ["--delete", "joe"], ["--list"]):
        done = edit(checker, *options)
        assert done.returncode == MISCONFIGURED and done.stdout == "", done


@pytest.mark.parametrize("options", [
    ["--set", "joe", "--delete", "joe"], ["--set", "joe", "--list"], ["--set", ""], ["--list", "joe"],
    ["--delete", "joe", "--as", "1"], ["--list", "--home", "/"], ["--set", "joe", "--home", "x"],
    ["--set", "a:b"], ["--set", "#a"], ["--list", "--fold-login"], ["--hash", "--as", "1"],
    ["--system", "--set", "joe"]])
def test_wrong_use(checker, options):
    before = read(checker)
    done = edit(checker, *options)
    assert done.returncode == MISUSED and done.stdout == "", done
    assert read(checker) == before


def test_no_change_during_a_conversation(checker):
    before = read(checker)
    for options in (["--set", "joe"], ["--delete", "joe"], ["--list"]):
        result = checker.run(data=b"joe\0secret\0\0", options=["-f", checker.file, *options],
                             probe=False)
        assert (result.status, result.out) == (MISUSED, ""), result
    assert read(checker) == before


@pytest.mark.parametrize("options", [("--set", "ann"), ("--delete", "ann"), ("--list",)])
def test_what_is_wrong_is_said_where_output_and_errors_are_one(checker, options):
    """As with "2>&1 | tee" and under cron; only a client must not see it."""
    checker.write("# nobody")
    if options == ("--list",):
        os.unlink(checker.file)
    done = subprocess.run([checker.binary, "-f", checker.file, *options], input="x\n", text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode in (REFUSED, MISCONFIGURED) and "problem=" in done.stdout, done
