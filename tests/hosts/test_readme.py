"""README: a first page, whose commands are those that other tests run."""
import os
import re
import subprocess

from launch import TREE, shipped

README = shipped("README")


def commands(text):
    """The indented lines of a text that are commands."""
    return [line.strip() for line in re.findall(r"^    (.+)$", text, re.MULTILINE)]


def test_readme_is_one_page():
    assert len(README.encode()) <= 6 * 1024


def test_every_command_is_one_that_is_tested():
    """tests/package/machines runs the first two; .ci/run and tests/fresh-machine the next three;
    test_tls_recipes follows doc/SETUP.
    """
    package = ["apt install ./pop3d_*.deb ./pop3d-tls_*.deb", "systemctl enable --now pop3d.target"]
    tested = [*package, "./bootstrap demo", "./bootstrap check", "make check-asan", "make",
              "make install"]
    tested += commands(shipped("doc", "SETUP"))
    shown = commands(README.partition("## Manuals")[0])
    assert shown[:7] == tested[:7]
    assert [line for line in shown if line not in tested] == []
    assert package[1] in shipped("tests", "package", "machines")


def test_every_document_is_named_and_there():
    listed = re.findall(r"^    (\S+) ", README.partition("## Manuals")[2], re.MULTILINE)
    assert all(os.path.exists(os.path.join(TREE, name)) for name in listed), listed
    documents = {name for name in os.listdir(os.path.join(TREE, "doc"))
                 if os.path.isfile(os.path.join(TREE, "doc", name))}
    for name in documents:
        page, _, section = name.partition(".")
        assert f"{page}({section})" in README if section else f"doc/{name}" in listed, name


def test_install_puts_the_documents_where_readme_says(lab, tmp_path):
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("O", "LIBC", "SANITIZE", "CHARDEN", "MFLAGS")
                   and not name.startswith("MAKE")}
    done = subprocess.run(["make", "-s", "-C", TREE, "install", f"O={lab.build}",
                           "PREFIX=/usr/local", f"DESTDIR={tmp_path}"], env=environment,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    installed = tmp_path / "usr/local/share/doc/pop3d"
    for name in os.listdir(os.path.join(TREE, "doc")):
        if "." not in name and name != "examples":
            assert (installed / name).is_file(), name
    for name in ("README", "CHANGES", "LICENSE", "xinetd.d/pop3", "systemd/pop3d.socket",
                 "examples/pop3d.mtail", "examples/pop3d.lnav.json"):
        assert (installed / name).is_file(), name
