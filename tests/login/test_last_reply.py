"""The last reply arrives, and the end after it, though the client sent more than was read."""
import os
import time

import pytest

from launch import Script

MORE = b"NOOP\r\n" * 200


def all_replies(server, octets):
    """Everything until the end; a reset is an error here, and not an end."""
    os.set_blocking(server.out_fd, True)
    os.write(server.out_fd, octets)
    time.sleep(1)  # the end of the connection is there before the client looks
    got = b""
    while piece := os.read(server.in_fd, 65536):
        got += piece
    return got.decode().splitlines()


@pytest.mark.parametrize("stage", ["login", "session"])
def test_what_comes_after_quit_resets_nothing(lab, home, stage):
    home.add_seeds()
    server = lab.serve(home, transport="tcp")
    login = f"USER {home.login}\r\nPASS {home.password}\r\n" if stage == "session" else ""
    lines = all_replies(server, login.encode() + b"QUIT\r\n" + MORE)
    assert "signing off" in lines[-1], lines


def test_what_comes_after_a_maildrop_in_use_resets_nothing(lab, home):
    first = lab.login(home, "--lock")
    assert first.line().startswith("+OK"), first.report()
    server = lab.serve(home, "--lock", transport="tcp")
    lines = all_replies(server, f"USER {home.login}\r\nPASS {home.password}\r\n".encode() + MORE)
    assert lines[-1].startswith("-ERR [IN-USE]"), lines


def test_what_comes_after_the_third_failure_resets_nothing(lab, home):
    server = lab.serve(home, transport="tcp", checker=[Script(home, "exit 1\n").path])
    tries = b"".join(b"USER a\r\nPASS b%d\r\n" % number for number in range(3))
    lines = all_replies(server, tries + MORE)
    assert [line for line in lines if line.startswith("-ERR")] == \
        ["-ERR [AUTH] login failed"] * 3, lines
