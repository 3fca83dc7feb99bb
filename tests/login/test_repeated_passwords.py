"""One wrong password in several commands is one guess: mail programs try it in each way they know."""
import base64
import time

from launch import Script



def b64(text):
    return base64.b64encode(text.encode()).decode()


class Counting(Script):
    """A checker that counts how often it runs, and refuses."""

    def __init__(self, home):
        super().__init__(home, "echo x >>@NOTES@/runs\nexit 1\n")

    def runs(self):
        return len((self.note("runs") or "").split())


def plain(server, login, password):
    return server.ask("AUTH PLAIN " + b64(f"\0{login}\0{password}"))


def auth_login(server, login, password):
    assert server.ask("AUTH LOGIN").startswith("+ ")
    assert server.ask(b64(login)).startswith("+ ")
    return server.ask(b64(password))


def user_pass(server, login, password):
    assert server.ask(f"USER {login}").startswith("+OK")
    return server.ask(f"PASS {password}")


def test_three_ways_with_one_password_are_one_try(lab, home):
    """As Thunderbird does it; the user then types the right one into the same connection."""
    home.add_seeds()
    server = lab.serve(home, "--fail-delay", "1")
    server.line()
    begin = time.monotonic()
    replies = [way(server, home.login, "wrong") for way in (plain, auth_login, user_pass)]
    seconds = time.monotonic() - begin
    assert replies == [replies[0]] * 3 and replies[0].startswith("-ERR [AUTH]"), server.report()
    assert 1 <= seconds < 1.9, f"{seconds} s: the second and third answer came late"
    assert user_pass(server, home.login, home.password).startswith("+OK 4 messages")
    server.quit()
    server.ended()
    assert server.log().count("login-failed ") == 1, server.report()


def test_no_checker_is_asked_again(lab, home):
    checker = Counting(home)
    server = lab.serve(home, "--fail-delay", "0", checker=[checker.path])
    server.line()
    for way in (user_pass, plain, auth_login, user_pass):
        assert way(server, "kermit", "wrong").startswith("-ERR [AUTH]"), server.report()
    assert checker.runs() == 1
    # what differs in one octet, or in who it is for, is a guess of its own
    assert user_pass(server, "kermit", "wrong2").startswith("-ERR [AUTH]")
    assert user_pass(server, "kermit", "wrong").startswith("-ERR [AUTH]")
    assert user_pass(server, "kermi", "twrong").startswith("-ERR [AUTH]")
    server.ended()
    assert checker.runs() == 3
    assert server.log().count("login-failed ") == 3, server.report()
    assert "reason=failures tries=3" in server.log(), server.report()


def test_repeating_it_is_bounded(lab, home):
    """It counts towards the ten bad commands."""
    checker = Counting(home)
    server = lab.serve(home, "--fail-delay", "0", checker=[checker.path])
    server.line()
    replies = [plain(server, "kermit", "wrong") for _ in range(11)]
    assert all(reply.startswith("-ERR [AUTH]") for reply in replies), server.report()
    assert server.ask("NOOP") is None, server.report()
    server.ended()
    assert checker.runs() == 1
    assert "reason=bad-commands tries=1" in server.log(), server.report()


def test_a_temporary_failure_is_not_remembered(lab, home):
    """The user did nothing wrong: the next try may succeed."""
    checker = Script(home, "echo x >>@NOTES@/runs\nexit 111\n")
    server = lab.serve(home, "--fail-delay", "0", checker=[checker.path])
    server.line()
    for _ in range(3):
        assert user_pass(server, "kermit", "right").startswith("-ERR [SYS/TEMP]")
    server.ended()
    assert len(checker.note("runs").split()) == 3


def test_digests_are_asked_about_each_time(lab, home):
    """A digest that is the same twice was not made of this connection's timestamp alone."""
    checker = Counting(home)
    server = lab.serve(home, "--apop", "--fail-delay", "0", checker=[checker.path])
    server.line()
    for _ in range(3):
        assert server.ask("APOP kermit " + "0" * 32).startswith("-ERR [AUTH]"), server.report()
    server.ended()
    assert checker.runs() == 3


def test_another_connection_knows_nothing_of_it(lab, home):
    checker = Counting(home)
    for _ in range(2):
        server = lab.serve(home, "--fail-delay", "0", checker=[checker.path])
        server.line()
        user_pass(server, "kermit", "wrong")
        server.quit()
        server.ended()
    assert checker.runs() == 2
