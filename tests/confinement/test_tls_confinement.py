"""The processes of pop3d-tls: what each is, and what the engine cannot do, as doc/SECURITY says."""
import os
import re
import shutil

import pytest

import harness
import jail
from harness import MAIL_UID, ROOT, retry_until
from test_confinement import (GROUPS, attempt_table, check_process, errno_name, fill_for_attempts,
                              holds)
from test_confinement import column, uid  # fixtures, pylint: disable=unused-import
from tls_lab import TlsClient, UCSPI_DOUBLE, pki, tls_program  # pylint: disable=unused-import


@pytest.fixture
def files(home, pki):
    """A directory of certificates that the user who starts the engine can read."""
    path = home.path + ".certs"
    os.mkdir(path)
    with open(os.path.join(path, "default.pem"), "w", encoding="ascii") as file:
        file.write(pki.pem("mail.example"))
    os.chmod(file.name, 0o600)
    harness.own(path)
    harness.own(file.name)
    return path


class Connection:
    """A connection to pop3d-tls, started as the column of the document says."""

    def __init__(self, lab, uid, *arguments, program=None, **how):
        wrapper = ["setpriv", "--groups", ",".join(GROUPS), "--"] if ROOT and uid is None else []
        self.server = lab.start([program or tls_program(lab), *arguments], transport="tcp",
                                uid=uid, wrapper=wrapper, **how)
        self.engine = self.server.process.pid

    def locked_in(self):
        """Waits until the engine is confined. The filter is set last, the limits before it."""
        def last():
            if jail.SANITIZED:
                return jail.read_limits(self.engine)["Max processes"] == ("0", "0")
            return jail.read_status(self.engine)["Seccomp"] == "2"
        assert retry_until(last), self.server.report()
        return self

    def children(self):
        """The keepers and the program, after they have closed the descriptors that are not theirs."""
        found = []

        def all_wait():
            found[:] = self.child_pids()
            return all(jail.read_status(pid)["State"].startswith("S") for pid in found)
        assert retry_until(all_wait), self.server.report()
        return found

    def child_pids(self):
        with open(f"/proc/{self.engine}/task/{self.engine}/children", encoding="ascii") as file:
            return [int(pid) for pid in file.read().split()]

    def speak_tls(self, context):
        """The rest of the conversation, in TLS."""
        os.set_blocking(self.server.in_fd, True)
        raw = harness.socket.socket(fileno=os.dup(self.server.in_fd))
        raw.settimeout(harness.TIMEOUT)
        return TlsClient(context.wrap_socket(raw, server_hostname="mail.example"))


def test_processes_of_a_connection_under_tls(lab, home, pki, files, uid, column):
    made = Connection(lab, uid, "--cert-dir", files, "--", "cat").locked_in()
    check_process("engine, in the handshake", made.engine, made.server, home, column)
    keeper, = made.children()
    check_process("keeper, in the handshake", keeper, made.server, home, column)
    client = made.speak_tls(pki.context())
    assert client.ask("hello") == "hello"
    check_process("engine, after the handshake", made.engine, made.server, home, column)
    assert made.children() == [keeper]
    assert os.path.basename(os.readlink(f"/proc/{keeper}/exe")) == "cat"
    client.close()


def test_processes_of_a_connection_before_stls(lab, home, pki, files, uid, column):
    program = home.script("ucspi", UCSPI_DOUBLE)
    made = Connection(lab, uid, "--cert-dir", files, "--starttls", "--", program).locked_in()
    server = made.server
    assert server.line().startswith("clear "), server.report()
    check_process("engine, before STLS", made.engine, server, home, column)
    of_certificates = [pid for pid in made.children() if jail.descriptors(pid).get(0) is None]
    assert len(of_certificates) == 1 and len(made.children()) == 2
    check_process("keeper of certificates", of_certificates[0], server, home, column)
    assert server.ask("STLS") == "begin"
    client = made.speak_tls(pki.context())
    assert client.line() == "tls"
    check_process("engine, after the handshake", made.engine, server, home, column)
    assert of_certificates[0] not in made.children()
    client.close()


def test_descriptors_of_pop3d_before_and_after_stls(lab, home, pki, files, uid):
    made = Connection(lab, uid, "--cert", os.path.join(files, "default.pem"), "--starttls", "--",
                      lab.pop3d, "--hostname", harness.HOST).locked_in()
    assert made.server.line().startswith("+OK"), made.server.report()
    monitor, = made.children()
    roles = jail.Roles(made.server, lab.pop3d)
    roles.monitor = monitor
    assert retry_until(roles.child), made.server.report()
    greeter = roles.child()
    clear = jail.descriptors(monitor)[0]
    low = list(range(10))
    before, of_greeter = jail.descriptors(monitor), jail.descriptors(greeter)
    assert sorted(before) == low + [10, 11, 12, 13] and before[11] == before[12] != clear
    assert sorted(of_greeter) == [0, 1, 2, 11, 12, 13]
    assert of_greeter[0] == of_greeter[1] == clear and of_greeter[11] == before[11]
    assert made.server.ask("STLS").startswith("+OK")
    client = made.speak_tls(pki.context())
    assert client.ask("NOOP").startswith("-ERR")
    after = jail.descriptors(monitor)
    assert sorted(after) == low + [13] and after[0] == after[1] == before[11]
    assert jail.descriptors(greeter) == {number: of_greeter[number] for number in (2, 11, 12, 13)}
    client.close()


@pytest.mark.skipif(jail.SANITIZED, reason="programs with sanitizers have no system call filter")
def test_attempts_of_an_engine_end_as_the_document_says(lab, files, uid, column):
    if os.uname().machine != "x86_64":
        pytest.skip("the list of attempts is that of x86_64")
    probe, wrong = jail.build_tls_probe(lab), []
    landlock = jail.landlock_abi() >= 1
    for name, said in attempt_table().items():
        home = harness.Home(lab)
        fill_for_attempts(lab, home)
        made = Connection(lab, uid, "--cert-dir", files, "--", "cat", program=probe, cwd=home.path)
        assert made.server.line() == "+OK", made.server.report()
        reply = made.server.ask("TRY " + name)
        if reply is None:
            found = {-31: "killed"}.get(made.server.ended(), "died otherwise")
        elif reply == "+OK works":
            found = "works"
        else:
            assert re.match(r"\+OK errno \d+$", reply), made.server.report()
            found = errno_name(int(reply.rpartition(" ")[2]))
        jail.finish(lab, made.server)
        shutil.rmtree(home.path)
        if not holds(said["engine"], found, column, landlock):
            wrong.append(f"{name}: doc/SECURITY says {said['engine']}, it ends in {found}")
    assert not wrong, "\n".join(wrong)


def test_the_key_is_read_as_who_started_the_engine(lab, home, pki, files):
    """It is not read as --engine-user, who need not be able to read it."""
    if not ROOT:
        pytest.skip("needs root for another user")
    os.chown(files, 0, 0)
    os.chmod(files, 0o700)
    os.chown(os.path.join(files, "default.pem"), 0, 0)
    single = os.path.join(files, "default.pem")
    for option, path in (("--cert", single), ("--cert-dir", files)):
        made = Connection(lab, None, option, path, "--", "cat").locked_in()
        assert made.speak_tls(pki.context()).ask("hello") == "hello"
        made = Connection(lab, MAIL_UID, option, path, "--", "cat")
        with pytest.raises(OSError):  # ssl.SSLError is an OSError.
            made.speak_tls(pki.context())
        assert made.server.ended() == 111
        assert re.search(r'tls-configuration file=\S+ problem="Permission denied"',
                         made.server.log()), made.server.report()
