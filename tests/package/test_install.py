"""make install, install-services, uninstall and dist, into a directory of their own."""
import os
import re
import shutil
import subprocess
import tarfile

import pytest

from launch import TREE

PROGRAMS = {"pop3d", "pop3d-checkpw", "pop3d-checkpw-host", "pop3d-admin", "pop3d-tls"}


def make(build, *words):
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("O", "LIBC", "SANITIZE", "CHARDEN", "MFLAGS")
                   and not name.startswith("MAKE")}
    done = subprocess.run(["make", "-s", "-C", TREE, f"O={build}", *words], env=environment,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def files(root):
    return {os.path.relpath(os.path.join(place, name), root)
            for place, _, names in os.walk(root) for name in names}


@pytest.fixture
def installed(lab, tmp_path):
    make(lab.build, "install", "install-services", "PREFIX=/usr", f"DESTDIR={tmp_path}")
    return tmp_path


def test_uninstall_leaves_no_file_behind(lab, installed):
    assert len(files(installed)) > 40
    make(lab.build, "uninstall", "PREFIX=/usr", f"DESTDIR={installed}")
    assert files(installed) == set()
    places = [os.path.relpath(place, installed) for place, _, _ in os.walk(installed)]
    assert [place for place in places if "pop3d" in place] == []


def test_uninstall_and_install_keep_what_an_administrator_edited(lab, installed):
    edited = installed / "etc/default/pop3d"
    edited.write_text("POP3D_OPTIONS=--lock\n", encoding="ascii")
    make(lab.build, "install", "install-services", "PREFIX=/usr", f"DESTDIR={installed}")
    assert edited.read_text(encoding="ascii") == "POP3D_OPTIONS=--lock\n"
    said = make(lab.build, "uninstall", "PREFIX=/usr", f"DESTDIR={installed}")
    assert f"kept, because it was edited: {edited}" in said
    assert files(installed) == {"etc/default/pop3d"}


def test_installed_files_name_the_places_of_this_installation(lab, tmp_path):
    make(lab.build, "install", "install-services", "PREFIX=/opt/mail", "SYSCONFDIR=/opt/etc",
         f"DESTDIR={tmp_path}")
    names = files(tmp_path)
    assert {name.split("/")[0] for name in names} == {"opt"}
    for name in names:
        if os.path.basename(name) in PROGRAMS and "/sbin/" in name or name.endswith("CHANGES"):
            continue
        text = (tmp_path / name).read_text(encoding="utf-8")
        text = text.replace("/usr/local/sbin:/usr/local/bin", "").replace("/opt/etc", "")
        assert not re.search("/usr/local/(sbin|libexec|share)", text), name
        assert "/etc/pop3d" not in text and "/etc/default" not in text, name


def test_installed_services_take_options_from_the_file_and_start_nothing_alone(installed):
    for name in ("pop3", "pop3s"):
        text = (installed / "etc/xinetd.d" / name).read_text(encoding="ascii")
        assert re.findall(r"^\s*disable\s*=\s*(\S+)$", text, re.MULTILINE) == ["yes"]
        assert re.findall(r"^\s*(?:server|server_args)\s*=\s*(.+)$", text, re.MULTILINE) == [
            "/usr/libexec/pop3d/serve", name]
    for name in ("pop3d@.service", "pop3s@.service", "pop3d@.service.d/stls.conf"):
        text = (installed / "usr/lib/systemd/system" / name).read_text(encoding="ascii")
        assert "$POP3D_OPTIONS -- $POP3D_CHECKER" in text, name


def test_the_script_for_xinetd_reads_the_same_file(lab, tmp_path):
    """serve with programs that print their command lines, and with an administrator's settings."""
    root = tmp_path / "r"
    make(lab.build, "install-services", f"PREFIX={root}", f"SYSCONFDIR={root}/etc")
    sbin = root / "sbin"
    sbin.mkdir()
    for name in ("pop3d", "pop3d-tls"):
        (sbin / name).write_text("#!/bin/sh\necho ${0##*/} \"$@\"\n", encoding="ascii")
        (sbin / name).chmod(0o755)
    settings = root / "etc/default/pop3d"
    settings.write_text(
        'POP3D_OPTIONS="--lock --apop"\nPOP3D_CHECKER="checker -x"\n'
        'POP3D_TLS_OPTIONS="--cert a.pem"\nPOP3D_GREETER=""\nPOP3D_ENGINE=""\n', encoding="ascii")

    def serve(service):
        done = subprocess.run([root / "libexec/pop3d/serve", service], capture_output=True,
                              text=True, check=False)
        return done.stdout + done.stderr

    pop3d = f"{sbin}/pop3d --lock --apop -- checker -x\n"
    assert serve("pop3s") == f"pop3d-tls --cert a.pem -- {pop3d}"
    assert serve("pop3") == f"pop3d-tls --starttls --cert a.pem -- {pop3d}"
    (sbin / "pop3d-tls").unlink()
    assert serve("pop3") == "pop3d --lock --apop -- checker -x\n"
    settings.write_text("POP3D_OPTIONS='\n", encoding="ascii")
    assert serve("pop3") == "", "no word of the shell reaches the client"


def test_dist_packs_what_is_committed(tmp_path):
    if shutil.which("git") is None or subprocess.run(
            ["git", "-C", TREE, "rev-parse", "HEAD"], capture_output=True, check=False).returncode:
        pytest.skip("not a git work tree")
    make(tmp_path, "dist")
    (name,) = files(tmp_path)
    assert re.fullmatch(r"pop3d-[0-9.]+\.tar\.gz", name)
    with tarfile.open(tmp_path / name) as archive:
        names = archive.getnames()
    top = name.removesuffix(".tar.gz")
    assert {f"{top}/Makefile", f"{top}/pop3d.c", f"{top}/doc/SETUP"} <= set(names)
    assert all(each.split("/")[0] == top for each in names)
