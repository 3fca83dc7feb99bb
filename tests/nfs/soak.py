"""Sessions on two hosts at once on one Maildir, while mail arrives on the server, and a model that
knows each message: what was delivered when, what was acknowledged, and what may be either way.
"""
import random
import threading
import time

import harness
import hosts

LONGEST = 120  # Seconds that a client waits for an answer.


def wire_form(content):
    """What RETR sends for the file, without the terminating line."""
    lines = content.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines)


class Model:
    """Times are those of the monotonic clock. A unique id is the unique name of the file."""

    def __init__(self):
        self.lock = threading.Lock()
        self.content, self.delivered = {}, {}
        self.tried = {}  # When the first QUIT that was to remove it was sent.
        self.gone = {}  # When the first such QUIT was acknowledged.
        self.problems = []
        self.sessions = self.refused = self.died = self.unread = self.kept = 0

    def problem(self, kind, text):
        with self.lock:
            self.problems.append(f"{kind}: {text}")

    def count(self, kind):
        return sum(problem.startswith(kind + ":") for problem in self.problems)


class Soak:
    """Runs for some seconds, with a fault in the middle; see row()."""

    def __init__(self, lab, home, views, options=()):
        self.lab, self.home, self.views, self.options = lab, home, views, options
        self.model, self.watch = Model(), hosts.Watch()
        self.ended = threading.Event()
        self.serial = 0
        self.deliveries_fail = False

    # -- mail

    def deliver(self):
        self.serial += 1
        octets = random.choice((50, 700, 5000, 60000))
        name = f"{1700000000 + self.serial}.M{self.serial}P1.server"
        line = b"." * random.randrange(3) + b"%d " % self.serial + b"x" * random.randrange(70)
        content = b"Subject: %d\n\n" % self.serial + (line + b"\n") * (octets // len(line) + 1)
        with self.model.lock:
            self.model.content[name] = content
        try:
            hosts.deliver(self.home.maildir, name, content)
        except OSError:
            with self.model.lock:
                del self.model.content[name]
            return
        with self.model.lock:
            self.model.delivered[name] = time.monotonic()

    def deliver_always(self):
        while not self.ended.is_set():
            self.deliver()
            self.ended.wait(random.expovariate(4))

    # -- sessions

    def check_listing(self, uids, begin):
        m = self.model
        with m.lock:
            undone = [u for u in uids.values() if m.gone.get(u, begin) < begin]
            missing = [u for u, when in m.delivered.items()
                       if when < begin and u not in m.tried and u not in uids.values()]
            unknown = [u for u in uids.values() if u not in m.content]
        for kind, found in (("undone", undone), ("lost", missing), ("uid", unknown)):
            if found:
                m.problem(kind, f"in a listing: {found[:5]}")
        if len(set(uids.values())) != len(uids):
            m.problem("uid", f"twice in a listing: {uids}")

    def fetch(self, server, number, uid):
        """Whether the message came. Only one that a session has tried to remove may be gone."""
        first = self.ask(server, f"RETR {number}")
        if first is None:
            return False
        if first.startswith("+OK"):
            with self.watch.waiting():
                body = server.body()
            if body != wire_form(self.model.content[uid]):
                self.model.problem("wrong", f"{uid}: {harness.shorten(body, 100)}")
            return True
        with self.model.lock:
            self.model.unread += 1
            if uid not in self.model.tried and not first.startswith("-ERR [SYS/TEMP]"):
                self.model.problems.append(f"unread: {uid}: {first}")
        return False

    def ask(self, server, command):
        with self.watch.waiting():
            return server.ask(command, LONGEST)

    def session(self, view):
        begin = time.monotonic()
        server = self.lab.session(view, *self.options)
        try:
            self.talk(server, begin)
        except AssertionError as error:
            if "no answer within" in str(error):
                self.model.problem("hung", str(error)[:300])
            else:
                with self.model.lock:
                    self.model.died += 1
        finally:
            server.stop()
            with self.model.lock:
                self.model.sessions += 1
                self.lab.servers.remove(server)

    def talk(self, server, begin):
        m = self.model
        with self.watch.waiting():
            first = server.line(LONGEST)
        if first is None or not first.startswith("+OK"):
            with m.lock:
                m.refused += 1
            return
        with self.watch.waiting():
            uids = server.listing("UIDL")
        self.check_listing(uids, begin)
        chosen = random.sample(sorted(uids), min(len(uids), random.randrange(12)))
        fetched = [n for n in chosen if self.fetch(server, n, uids[n])]
        marked = [n for n in fetched if random.random() < 0.6]
        for number in marked:
            if not (self.ask(server, f"DELE {number}") or "").startswith("+OK"):
                return
        if random.random() < 0.15:
            return  # The connection breaks, and nothing may be removed.
        self.quit(server, [uids[n] for n in marked])

    def quit(self, server, marked):
        m = self.model
        now = time.monotonic()
        with m.lock:
            for uid in marked:
                m.tried.setdefault(uid, now)
        reply = self.ask(server, "QUIT")
        now = time.monotonic()
        with m.lock:
            if reply is not None and reply.startswith("+OK"):
                for uid in marked:
                    m.gone.setdefault(uid, now)
            else:
                m.kept += 1

    def poll_always(self, view):
        while not self.ended.is_set():
            self.session(view)

    # -- the whole

    def run(self, seconds, fault=None, most_messages=60):
        for _ in range(30):
            self.deliver()
        threads = [threading.Thread(target=self.poll_always, args=(view,)) for view in self.views]
        threads.append(threading.Thread(target=self.deliver_always))
        for thread in threads:
            thread.start()
        time.sleep(seconds / 2)
        try:
            if fault is not None:
                fault()
            time.sleep(seconds / 2)
        finally:
            self.ended.set()
            for thread in threads:
                thread.join()
        self.check_end()

    def check_end(self):
        """What is on the server when all have ended."""
        m = self.model
        there = {}
        for path in self.home.maildir.names():
            uid = path.split(b"/")[1].split(b":")[0].decode()
            there.setdefault(uid, []).append(path)
            with open(self.home.maildir.at(path), "rb") as file:
                if file.read() != m.content.get(uid):
                    m.problem("wrong", f"at the end: {path}")
        for uid in m.delivered:
            if uid not in there and uid not in m.tried:
                m.problem("lost", f"at the end: {uid}")
            if uid in there and uid in m.gone:
                m.problem("undone", f"at the end: {there[uid]}")
        for uid in there:
            if uid not in m.content:
                m.problem("uid", f"at the end: {there[uid]}")

    def row(self, fault, version):
        m = self.model
        return {
            "fault": fault, "version": version, "sessions": m.sessions, "messages": len(m.delivered),
            "removed": len(m.gone), "undone": m.count("undone"), "lost": m.count("lost"),
            "wrong": m.count("wrong") + m.count("uid"), "unread": m.unread, "refused": m.refused,
            "died": m.died, "quit without +OK": m.kept, "longest pause": round(self.watch.longest, 1)}
