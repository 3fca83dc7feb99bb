"""How late a session sees what happened on another host, by protocol version and mount options."""
import json
import os
import time

import pytest

import hosts
from harness import logged_in, retry_until

pytestmark = pytest.mark.skipif(not hosts.INSIDE, reason="make check-nfs runs it, in a kernel of its own")

OPTIONS = ("acregmin=3", "noac", "actimeo=10", "nocto")  # the first are the defaults
PATIENCE = 75  # Seconds. acdirmax is 60 by default.


def messages(lab, view, *options):
    server = logged_in(lab, view, *options)
    count = int(server.ask("STAT").split()[1])
    server.quit()
    return count


def fill(home, count):
    for i in range(count):
        hosts.deliver(home.maildir, f"{1000 + i}.M1P{i}.server", b"Subject: %d\n\ntext\n" % i, 1000)


@pytest.mark.parametrize("count", (5, 150), ids=("few", "many"))
@pytest.mark.parametrize("mount", OPTIONS)
@pytest.mark.parametrize("version", hosts.VERSIONS)
def test_a_login_sees_what_the_server_did(lab, version, mount, count):
    """Seconds from a delivery and a removal on the server until a login on a client shows them."""
    home = hosts.Shared(lab, f"late-{version}-{mount}-{count}")
    fill(home, count)
    late = {}
    with hosts.mounted("a", version, mount) as at:
        view = home.at(at)
        time.sleep(3)  # an index is written for directories that are at rest only
        for _ in range(3):
            assert messages(lab, view, "--no-move", "--no-seen") == count
        for what, change, expected in (
                ("delivery", lambda: hosts.deliver(home.maildir, "5000.M1P1.server", b"x\n"), count + 1),
                ("removal", lambda: os.unlink(home.maildir.at("new", "1000.M1P0.server")), count)):
            change()
            begin = time.monotonic()
            seen = retry_until(
                lambda: messages(lab, view, "--no-move", "--no-seen") == expected, PATIENCE, 0.2)  # noqa: B023
            late[what] = round(time.monotonic() - begin, 1) if seen else None
    print(json.dumps({"version": version, "mount": mount, "messages": count, **late}))
    assert None not in late.values(), late
