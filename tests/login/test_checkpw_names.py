"""pop3d-checkpw: other forms of the password file, logins made uniform, homes made of logins, and
users whom PAM knows and the host does not."""
import os
import re

import pytest

from test_checkpw import (ACCOUNT, GID, HASH, MISCONFIGURED, MISUSED, PERMIT, REFUSED, UID, checker,
                          crypt_hash, needs_root, pam, pam_module, root_checker,
                          workshop)  # pylint: disable=unused-import

KINDS = {"{CRYPT}": "$5$", "{SHA256-CRYPT}": "$5$", "{SHA512-CRYPT}": "$6$", "{BLF-CRYPT}": "$2y$",
         "{crypt}": "$y$", "{Sha512-Crypt}": "$6$"}


def make_home(checker, *parts):
    path = os.path.join(checker.directory, "mail", *parts)
    os.makedirs(path)
    return path


@pytest.mark.parametrize("scheme, kind", KINDS.items())
def test_dovecots_name_before_a_hash(checker, scheme, kind):
    hashed = crypt_hash("secret", kind, 1000 if kind in ("$5$", "$6$") else 5)
    if hashed is None:
        pytest.skip(f"crypt(3) does not know {kind} here")
    checker.write(checker.entry(hashed=scheme + hashed))
    assert checker.login().seen["cwd"] == checker.home
    checker.refuses(password="other")


@pytest.mark.parametrize("hashed, problem", [
    ("{PLAIN}secret", "in clear text"), ("{plain}secret", "in clear text"),
    ("{CLEARTEXT}secret", "in clear text"), ("{PLAIN.b64}c2VjcmV0", "in clear text"),
    ("{SHA512-CRYPT}" + HASH, "not of the kind"), ("{MD5-CRYPT}$1$a$b", "not one of crypt"),
    ("{SSHA}x", "not one of crypt"), ("{CRYPT}$1$a$b", "too weak"), ("{CRYPT}", "empty")])
def test_other_schemes_are_refused_with_a_reason(checker, hashed, problem):
    checker.write(checker.entry(hashed=hashed), checker.entry("ann"))
    said = checker.refuses().err
    assert re.search(rf'checkpw-line-ignored file=\S+ line=1 problem="[^"]*{problem}', said), said
    assert "c2VjcmV0" not in said
    assert checker.login("ann").seen["cwd"] == checker.home


def test_a_locked_hash_after_a_scheme_is_locked(checker):
    checker.write(checker.entry(hashed="{CRYPT}!" + HASH))
    assert "ignored" not in checker.refuses().err


def test_lines_of_passwd_and_of_a_passwd_file(checker):
    ids = f"{UID}:{GID}"
    checker.write(
        f"joe:{HASH}:{ids}:Joe,,,:{checker.home}:/bin/ksh",
        f"ann:{{SHA256-CRYPT}}{HASH}:{ids}::{checker.home}::userdb_mail=maildir:~/in:LAYOUT=fs",
        f"bob:{HASH}:{ids}::{checker.home}::",
        f"eve:{HASH}:{ids}::{checker.home}::userdb_quota_rule=*:storage=1G allow_nets=192.0.2.9",
        checker.entry("zoe", maildir="box"))
    seen = checker.login().seen
    assert seen["cwd"] == checker.home and seen["env"]["SHELL"] == "/bin/ksh"
    assert checker.login("ann").seen["env"]["MAILDIR"] == "in"
    seen = checker.login("bob").seen["env"]
    assert seen["SHELL"] == "/bin/sh" and "MAILDIR" not in seen
    assert "only Dovecot understands" in checker.refuses("eve").err
    assert checker.login("zoe").seen["env"]["MAILDIR"] == "box"


def test_home_and_maildir_are_made_of_the_login(checker):
    home = make_home(checker, "example.org", "joe")
    whole = make_home(checker, "joe@example.org")
    mail = os.path.join(checker.directory, "mail")
    checker.write(checker.entry("joe@example.org", home=f"{mail}/%d/%n", maildir=f"{mail}/%u"))
    seen = checker.login("joe@example.org").seen
    assert (seen["cwd"], seen["env"]["MAILDIR"]) == (home, whole)
    assert seen["env"]["USER"] == "joe@example.org"


@pytest.mark.parametrize("login, pattern", [
    ("joe", "/%d"), ("joe@", "/%d"), ("@example.org", "/%n"), ("..@example.org", "/%n"),
    (".@example.org", "/%n"), ("joe@..", "/%d"), ("joe@.", "/%d"), ("a/b@example.org", "/%n"),
    ("joe@../etc", "/%d"), ("..", "/%u"), ("a/b", "/%u")])
def test_a_part_that_leads_elsewhere_is_refused(checker, login, pattern):
    checker.write(checker.entry(login, home=pattern))
    result = checker.refuses(login)
    assert "checkpw-home-unusable" in result.err and "a part of the login" in result.err, result
    assert "checkpw-home-unusable" not in checker.refuses(login, "wrong").err


def test_a_home_that_becomes_too_long_is_refused(checker):
    login = "j" * 250
    checker.write(checker.entry(login, home="/%u" * 5))
    assert "too long" in checker.refuses(login).err


def test_a_percent_sign_that_means_nothing_stays(checker):
    home = make_home(checker, "50%")
    checker.write(checker.entry(home=home))
    assert checker.login().seen["cwd"] == home


def test_default_domain(checker):
    checker.write(checker.entry("joe@example.org"), checker.entry("joe@example.net", "!"))
    options = ["-f", checker.file, "--default-domain", "example.org"]
    for login in ("joe", "joe@example.org"):
        assert checker.login(login, options=options).seen["env"]["USER"] == "joe@example.org"
    checker.refuses("joe@example.net", options=options)
    checker.refuses("joe@", options=options)
    checker.refuses("joe")


def test_fold_login(checker):
    checker.write(checker.entry("joe@example.org"), checker.entry("Ann"))
    options = ["-f", checker.file, "--fold-login"]
    assert checker.login("JOE@Example.ORG", options=options).seen["env"]["USER"] == "joe@example.org"
    checker.refuses("JOE@Example.ORG")
    checker.refuses("Ann", options=options)
    assert checker.login("Ann").seen["env"]["USER"] == "Ann"


@pytest.mark.parametrize("options", [
    ["--pam"], ["--pam", "--as", "1"], ["--pam", "--home", "/"],
    ["--pam", "--as", "1", "--home", "relative"], ["--as", "1"], ["--home", "/"],
    ["--system", "--as", "1"], ["--system", "--pam"], ["--pam", "--as", "1", "--home", "/", "-f", "/x"]])
def test_wrong_use(checker, options):
    result = checker.run("/bin/true", data=b"joe\0secret\0\0", options=options, probe=False)
    assert (result.status, result.out) == (MISUSED, ""), result


class Virtual:
    """--pam with a module that lets everybody in, and --as an account of the host."""

    def __init__(self, pam):
        self.pam, self.checker = pam, pam.checker
        pam.service(*PERMIT)
        self.pattern = os.path.join(self.checker.directory, "mail", "%d", "%n")
        self.options = ["--pam", "--as", ACCOUNT, "--home", self.pattern]

    def login(self, login, options=(), **more):
        return self.checker.login(login, options=[*self.options, *options], **more)


@pytest.fixture
def virtual(pam):
    return Virtual(pam)


def test_pam_users_whom_the_host_does_not_know(virtual):
    home = make_home(virtual.checker, "example.org", "joe")
    seen = virtual.login("joe@example.org").seen
    assert seen["uid"] == ["4331"] * 4 and seen["gid"] == ["4332"] * 4, seen
    assert seen["groups"] == ["4332"] and seen["cwd"] == home
    assert seen["env"]["USER"] == "joe@example.org" and seen["env"]["HOME"] == home
    assert seen["env"]["SHELL"] == "/bin/sh"
    options = ["--default-domain", "example.org", "--fold-login"]
    assert virtual.login("JOE", options).seen["cwd"] == home
    virtual.options[2] = "4331:77"
    assert virtual.login("joe@example.org").seen["gid"] == ["77"] * 4


@pytest.mark.parametrize("login", ["joe", "joe@", "@x", "..@x", "joe@..", "joe@a/b", "root", "#x@y",
                                   "j" * 256 + "@x"])
def test_pam_is_not_asked_where_no_home_can_be_made(virtual, login):
    told = os.path.join(virtual.checker.directory, "told")
    virtual.pam.service("auth required pam_exec.so /usr/bin/touch " + told, *PERMIT)
    result = virtual.login(login)
    assert result.status == REFUSED and not os.path.exists(told), result


def test_pam_that_refuses(virtual):
    make_home(virtual.checker, "example.org", "joe")
    virtual.pam.service("auth required pam_deny.so", PERMIT[1])
    assert virtual.login("joe@example.org").status == REFUSED


def test_pam_may_make_another_name_of_the_login(virtual):
    home = make_home(virtual.checker, "example.org", "ann")
    virtual.pam.service("auth required TEST user=ann@example.org", *PERMIT)
    seen = virtual.login("joe@example.org").seen
    assert (seen["cwd"], seen["env"]["USER"]) == (home, "ann@example.org")
    virtual.pam.service("auth required TEST user=ann@..", *PERMIT)
    assert virtual.login("joe@example.org").status == REFUSED


@pytest.mark.parametrize("user", ["root", "no-such-account"])
def test_pam_as_nobody_who_can_be_served(virtual, user):
    virtual.options[2] = user
    result = virtual.login("joe@example.org")
    assert result.status == MISCONFIGURED and "checkpw-no-account" in result.err, result


def test_pam_as_uid_0_is_no_account(virtual):
    virtual.options[2] = "0"
    assert virtual.login("joe@example.org").status == MISCONFIGURED
