"""The laboratory: a directory of its own with the programs, the homes and the logs of a run."""
import json
import os
import shutil
import subprocess
import tempfile

import maildirs

BENCH = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(BENCH)
OWNER = (4000, 4000)  # The owner of the homes, who is also the user of the sessions.
PASSWORD = "secret"
MAIL_UID = 7110
TOOLS = {
    "load": (["load.c", "talk.c", "reply.c", "figures.c"], ["-lm"]),
    "checkpw": (["checkpw.c"], []),
    "floor": (["floor.c"], ["-static"]),
    "start": (["start.c"], ["-static", "-lcrypt"]),
}


class Failed(Exception):
    """A session of a measurement did not end as it should."""


class Lab:
    """Everything is in one directory, which is removed at the end unless it was named."""

    def __init__(self, build, state=None, quick=False):
        self.quick = quick
        self.build = build
        self.keep = state is not None
        self.state = os.path.abspath(state) if state else tempfile.mkdtemp(prefix="pop3d-bench.")
        for sub in ("", "bin", "homes", "run"):
            os.makedirs(self.at(sub), exist_ok=True)
            os.chmod(self.at(sub), 0o755)

    def at(self, *parts):
        return os.path.join(self.state, *parts)

    def program(self, name):
        return self.at("bin", name)

    def copy_programs(self):
        """Copies of the programs to measure, because mail users may not be able to enter the tree."""
        for name in ("pop3d", "pop3d-checkpw", "pop3d-checkpw-host"):
            shutil.copy(os.path.join(self.build, name), self.program(name))

    def make_tools(self):
        for name, (sources, flags) in TOOLS.items():
            subprocess.run(
                [os.environ.get("CC", "cc"), "-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra",
                 "-o", self.program(name)] + [os.path.join(BENCH, s) for s in sources] + flags,
                check=True)

    def homes(self, owner_name):
        """The directory of the homes of one server. Each server changes its homes in its own way."""
        path = self.at("homes", owner_name)
        os.makedirs(path, exist_ok=True)
        return path

    def home(self, homes, user, count, **kind):
        """Makes the home of a user, unless an earlier run has made it."""
        path = os.path.join(homes, f"u{user}")
        if not os.path.isdir(path):
            maildirs.make_home(path, count, owner=OWNER, **kind)
        return path

    def load(self, server=None, patience=300, home=None, **options):
        """Runs the load generator and returns its figures.

        Options are those of load.c. With a home it runs there, as the owner of the homes.
        """
        command = self.load_command(server, options)
        as_owner = {"user": OWNER[0], "group": OWNER[1], "extra_groups": []} if home else {}
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=patience, check=False, cwd=home, **as_owner)
        return self.figures(done.stdout, done.stderr)

    def load_command(self, server, options):
        command = [self.program("load"), "--password", PASSWORD]
        if server is not None:
            command += ["--port", str(server.port), "--user", server.user_pattern]
        for name, value in options.items():
            command.append("--" + name.replace("_", "-"))
            if value is not True:
                command.append(str(value))
        return command

    @staticmethod
    def figures(stdout, stderr):
        try:
            figures = json.loads(stdout)
        except ValueError:
            raise Failed(stderr.strip()[-500:]) from None
        if figures["failed"]:
            raise Failed(f"{figures['failed']} sessions: {figures['first_problem']}")
        return figures

    def close(self):
        if not self.keep:
            shutil.rmtree(self.state, ignore_errors=True)
