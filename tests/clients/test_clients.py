"""Real clients fetch, keep and delete, under tcpserver."""
import poplib
import subprocess

import pytest

import harness
from client import drop_header
from launch import Tcpserver, checker_options, curl, find_program, run_client
from mail_lab import (NASTY, PLAIN, TEXT, check_end, in_order, left, on_disk, same, slow_delivery,
                      unique, wire_form, write_private)
from mail_lab import filer  # fixture, pylint: disable=unused-import


@pytest.fixture
def server(lab, home):
    """tcpserver with a cheap checker, for the mailbox of home."""
    options = checker_options(lab)
    started = Tcpserver(lab, home, [*options, "--", lab.checker, home.table])
    yield started
    started.stop()


# -- curl


def test_curl_fetches_every_octet(home, server):
    # but the empty one: there curl 7.88 writes the CRLF of the "+OK" line
    messages = {**PLAIN, **NASTY}
    del messages[b"11.empty"]
    home.maildir.add_all(messages)
    wanted = [wire_form(content) for content in in_order(messages)]
    scan = "".join(f"{n} {len(octets)}\r\n" for n, octets in enumerate(wanted, 1))
    assert curl(server, home).decode() == scan
    same([curl(server, home, str(n)) for n in range(1, len(wanted) + 1)], wanted, "curl")
    assert len(left(home)) == len(messages)


def test_curl_lists_uids_and_deletes(home, server):
    home.maildir.add_all(PLAIN)
    listing = curl(server, home, "", "-X", "UIDL").decode().splitlines()
    assert listing == [f"{n} {unique(name).decode()}" for n, name in enumerate(sorted(PLAIN), 1)]
    assert curl(server, home, "", "-l").count(b"\r\n") == len(PLAIN)
    # -I: a reply of one line
    curl(server, home, "2", "-X", "DELE", "-I")
    assert left(home) == {unique(name) for name in PLAIN} - {b"2.crlf"}


def test_curl_asks_top(home, server):
    home.maildir.add_all(PLAIN)
    assert curl(server, home, "", "-X", "TOP 1 1") == wire_form(TEXT % b"LF" + b"one\n")


# -- Python


def test_poplib_fetches_deletes_and_resets(home, server, monkeypatch):
    messages = {**PLAIN, **NASTY}
    home.maildir.add_all(messages)
    wanted = [wire_form(content) for content in in_order(messages)]
    # its own limit of 2,048 octets a line is for the matrix; here every octet is compared
    monkeypatch.setattr(poplib, "_MAXLINE", 2000000)
    client = poplib.POP3(server.address, server.port, timeout=harness.TIMEOUT)
    client.user(home.login)
    client.pass_(home.password)
    assert client.stat() == (len(wanted), sum(map(len, wanted)))
    assert client.capa().keys() >= {"TOP", "UIDL", "USER", "PIPELINING", "RESP-CODES"}
    got = []
    for number in range(1, len(wanted) + 1):
        lines = client.retr(number)[1]
        got.append(b"".join(line + b"\r\n" for line in lines))
    same(got, wanted, "poplib")
    client.dele(1)
    client.rset()
    client.dele(3)
    assert client.top(1, 0)[1] == [b"From: a@example.org", b"Subject: LF", b""]
    with pytest.raises(poplib.error_proto):
        client.retr(3)
    client.quit()
    assert left(home) == {unique(name) for name in messages} - {b"3.mixed"}


# -- Perl


NET_POP3 = r"""
use strict; use warnings; use Net::POP3;
my ($host, $port, $login, $password, $directory, $delete) = @ARGV;
my $pop = Net::POP3->new($host, Port => $port, Timeout => 30) or die "no connection\n";
my $count = $pop->login($login, $password);
die "login failed\n" unless defined $count;
my $list = $pop->list;
my $uids = $pop->uidl;
open(my $out, '>', "$directory/uids") or die;
print $out "$_ $$list{$_} $$uids{$_}\n" for sort { $a <=> $b } keys %$list;
close $out;
for my $number (sort { $a <=> $b } keys %$list) {
	open(my $file, '>', "$directory/$number") or die;
	binmode $file;
	$pop->get($number, $file) or die "get $number failed\n";
	close $file;
	$pop->delete($number) if $delete;
}
$pop->quit or die "quit failed\n";
"""


@pytest.mark.parametrize("delete", [False, True], ids=["keep", "delete"])
def test_net_pop3(home, server, tmp_path, delete):
    perl = find_program("perl", "perl")
    if subprocess.run([perl, "-MNet::POP3", "-e", "1"], capture_output=True,
                      check=False).returncode != 0:
        pytest.skip("no Net::POP3 (package perl; ./bootstrap deps)")
    home.maildir.add_all(PLAIN)
    done = run_client([perl, "-e", NET_POP3, server.address, str(server.port), home.login,
                       home.password, str(tmp_path), "1" if delete else ""])
    check_end(done, "Net::POP3")
    wire = [wire_form(content) for content in in_order(PLAIN)]
    names = sorted(PLAIN)
    assert (tmp_path / "uids").read_text().splitlines() == [
        f"{n} {len(octets)} {unique(name).decode()}"
        for n, (octets, name) in enumerate(zip(wire, names), 1)]
    same([(tmp_path / str(n)).read_bytes() for n in range(1, len(wire) + 1)],
         [octets.replace(b"\r\n", b"\n") for octets in wire], "Net::POP3")
    assert left(home) == (set() if delete else {unique(name) for name in PLAIN})


# -- mail fetchers: each hands messages to a script that files them


def fetchmail(program, settings, directory):
    """--pidfile: where root runs the tests, there would be one for the whole system."""
    return [program, "--nodetach", "--nosyslog", "-v", "-f", settings, "--pidfile",
            str(directory / "pid")]


@pytest.mark.parametrize("delete", [False, True], ids=["keep", "delete"])
def test_fetchmail(home, server, tmp_path, filer, delete):
    program = find_program("fetchmail", "fetchmail")
    script, delivered = filer
    home.maildir.add_all(PLAIN)
    # sslproto '': in clear it gives up without it, since sslcertck is a default
    settings = write_private(tmp_path / "fetchmailrc", f"""
poll {server.address} service {server.port} protocol pop3
	user "{home.login}" password "{home.password}" {"" if delete else "keep"} sslproto ''
	mda "{script}"
""")
    environment = {"HOME": str(tmp_path), "FETCHMAILHOME": str(tmp_path)}
    check_end(run_client(fetchmail(program, settings, tmp_path), env=environment), "fetchmail")
    same([drop_header(octets, b"Received") for octets in delivered()], on_disk(PLAIN), "fetchmail")
    assert left(home) == (set() if delete else {unique(name) for name in PLAIN})


def test_fetchmail_with_its_defaults_fetches_each_message_once(home, server, tmp_path, filer):
    """With keep and nothing else: the answer to LAST decides what fetchmail takes for new."""
    program = find_program("fetchmail", "fetchmail")
    script, delivered = filer
    settings = write_private(tmp_path / "fetchmailrc", f"""
poll {server.address} service {server.port} protocol pop3
	user "{home.login}" password "{home.password}" keep sslproto '' mda "{script}"
""")
    command = fetchmail(program, settings, tmp_path)
    environment = {"HOME": str(tmp_path), "FETCHMAILHOME": str(tmp_path)}
    counts = []
    for new in (3, 0, 2):
        for number in range(new):
            home.maildir.add(f"17000{len(counts)}000{number}.M1P1.a", b"Subject: x\n\ntext\n")
        done = run_client(command, env=environment)
        assert done.returncode == (0 if new else 1), done  # 1: no new mail
        counts.append(len(delivered()))
    assert counts == [3, 3, 5]


@pytest.mark.parametrize("delete", [False, True], ids=["keep", "delete"])
def test_mpop(home, server, tmp_path, filer, delete):
    program = find_program("mpop", "mpop")
    script, delivered = filer
    messages = {**PLAIN, **NASTY}
    home.maildir.add_all(messages)
    # auth user: by default it sends no password in clear
    settings = write_private(tmp_path / "mpoprc", f"""
account test
host {server.address}
port {server.port}
user {home.login}
password {home.password}
auth user
{"" if delete else "keep on"}
delivery mda {script}
""")
    environment = {"HOME": str(tmp_path)}
    check_end(run_client([program, "-C", settings, "-d", "test"], env=environment), "mpop")
    same([drop_header(octets, b"Received") for octets in delivered()], on_disk(messages), "mpop")
    assert left(home) == (set() if delete else {unique(name) for name in messages})
    if not delete:
        # the unique ids are the same the next time: nothing is fetched twice
        check_end(run_client([program, "-C", settings, "test"], env=environment), "mpop")
        assert len(delivered()) == len(messages)


@pytest.mark.parametrize("delete", [False, True], ids=["keep", "delete"])
def test_getmail(home, server, tmp_path, filer, delete):
    program = find_program("getmail", "getmail6")
    script, delivered = filer
    home.maildir.add_all(PLAIN)
    # allow_root_commands: root may run the tests. read_all = false: by default it fetches what it
    # keeps at every poll, so who keeps sets it.
    write_private(tmp_path / "getmailrc", f"""[retriever]
type = SimplePOP3Retriever
server = {server.address}
port = {server.port}
username = {home.login}
password = {home.password}

[destination]
type = MDA_external
path = {slow_delivery(script)}
allow_root_commands = true

[options]
{"delete = true" if delete else "read_all = false"}
""")
    command = [program, "--getmaildir", str(tmp_path), "--rcfile", "getmailrc"]
    environment = {"HOME": str(tmp_path)}
    check_end(run_client(command, env=environment), "getmail")
    same([drop_header(octets, b"Return-Path", b"Delivered-To", b"Received")
          for octets in delivered()], on_disk(PLAIN), "getmail")
    assert left(home) == (set() if delete else {unique(name) for name in PLAIN})
    if not delete:
        check_end(run_client(command, env=environment), "getmail")
        assert len(delivered()) == len(PLAIN)
