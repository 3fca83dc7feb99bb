"""Clients and delivery agents that keep the cluster busy, and compare all they see with the model."""
import os
import random
import shutil
import socket
import ssl
import subprocess
import threading
import time

from cluster import BALANCER6, MAIL_UID, TREE, WORK

# port, and where TLS begins: at once, or with STLS
WAYS = [(995, "ended"), (1995, "passed"), (110, "stls")]


class Broken(Exception):
    """The connection ended before a reply was complete."""


class Refused(Exception):
    """A login that was answered with -ERR."""


class Failed(Exception):
    """Another command that was answered with -ERR."""


class Client:
    """A POP3 client. source is its address."""

    tickets = {}
    resumed = 0

    def __init__(self, way, source, timeout, has_ticket=True):
        port, self.kind = way
        self.node, self.has_ticket = None, has_ticket
        try:
            self.socket = socket.create_connection((BALANCER6, port), timeout, (source, 0))
            self.reader = self.socket.makefile("rb")
            if self.kind != "stls":
                self.start_tls()
            self.node = self.line().split()[1].decode()
            if self.kind == "stls":
                self.ask("STLS")
                self.start_tls()
        except OSError as error:
            raise Broken(f"{self.kind}: {error}") from error

    def start_tls(self):
        """A handshake, with a ticket of an earlier session of any node."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        ticket = None
        if self.has_ticket:
            context, ticket = Client.tickets.get(self.kind, (context, None))
        self.socket = context.wrap_socket(self.socket, session=ticket)
        self.context = context
        self.reader.close()
        self.reader = self.socket.makefile("rb")
        self.is_resumed = self.socket.session_reused
        self.certificate = self.socket.getpeercert(True)

    def keep_ticket(self):
        """Keeps the ticket for other sessions."""
        if self.socket.session is not None:
            Client.tickets[self.kind] = (self.context, self.socket.session)

    def line(self):
        """A line of a reply."""
        line = self.reader.readline()
        if not line.endswith(b"\r\n"):
            raise Broken(f"{self.node} {self.kind}: end after {line!r}")
        return line[:-2]

    def ask(self, command, error=Failed):
        """The first line of a reply, which must be +OK."""
        try:
            self.socket.sendall(command.encode() + b"\r\n")
            line = self.line()
        except OSError as problem:
            raise Broken(f"{self.node} {self.kind} {command}: {problem}") from problem
        if not line.startswith(b"+OK"):
            raise error(f"{self.node} {self.kind} {command}: {line.decode('latin-1')}")
        return line

    def ask_lines(self, command):
        """The first line, and the lines that follow until the dot."""
        first = self.ask(command)
        lines = []
        try:
            while (line := self.line()) != b".":
                lines.append(line[1:] if line.startswith(b".") else line)
        except OSError as problem:
            raise Broken(f"{self.node} {self.kind} {command}: {problem}") from problem
        return first, lines

    def close(self):
        """Closes the connection."""
        self.reader.close()
        self.socket.close()


class Session:
    """One session of a user, compared with the model."""

    def __init__(self, load, box, client):
        self.load, self.box, self.client = load, box, client
        self.report = load.report
        self.uids = []
        self.started = time.monotonic()

    def log_in(self):
        """Until the mailbox is open."""
        self.client.ask("USER " + self.box.user, Refused)
        self.started = time.monotonic()
        self.client.ask("PASS secret", Refused)
        self.client.keep_ticket()

    def look(self):
        """UIDL, and TOP for what is new; then the whole listing is judged."""
        self.uids = [line.split()[1].decode() for line in self.client.ask_lines("UIDL")[1]]
        numbers = {uid: number for number, uid in enumerate(self.uids, 1)}
        for uid in self.box.unknown(self.uids):
            self.fetch(numbers[uid], uid, 10000)
        self.box.check_listing(self.report, self.uids, self.started)

    def fetch(self, number, uid, lines=None):
        """A message by RETR, or TOP with so many lines."""
        command = f"RETR {number}" if lines is None else f"TOP {number} {lines}"
        was_asked = self.box.is_asked(uid)
        try:
            first, body = self.client.ask_lines(command)
        except Failed as error:
            if not was_asked and not self.box.is_asked(uid):
                self.report.add("errors", 1, error)
            return
        octets = b"".join(line + b"\r\n" for line in body)
        if lines is None and int(first.split()[1]) != len(octets):
            self.report.add("wrong", 1, f"{command}: {len(octets)} octets after {first!r}")
        self.box.check_content(self.report, uid, octets)

    def work(self, most):
        """Fetches some messages and deletes some."""
        chosen = random.sample(range(len(self.uids)), min(most, len(self.uids)))
        marked = []
        for index in chosen:
            self.fetch(index + 1, self.uids[index])
        known = self.load.deletable(self.box, [self.uids[index] for index in chosen])
        for uid in known:
            self.client.ask(f"DELE {self.uids.index(uid) + 1}")
            marked.append(uid)
        self.quit(marked)

    def quit(self, marked):
        """QUIT, whose reply says whether the marked messages are gone."""
        self.box.ask_for_deletion(marked)
        try:
            self.client.ask("QUIT")
        except Broken:
            self.report.add("unanswered", len(marked))
            raise
        self.box.deleted(marked)
        self.report.add("deleted", len(marked))


class Load:
    """Threads that log in, and a delivery agent on every node."""

    def __init__(self, cluster, boxes, options):
        self.cluster, self.boxes, self.options = cluster, boxes, options
        self.report = None
        self.timeout = cluster.ping_timeout + 40
        self.is_over = False
        self.may_run = threading.Event()
        self.working = threading.Semaphore(options.clients + 3)
        self.active = 0
        self.changed = threading.Condition()
        self.agents = [start_agent(node, "deliver", *options.agents) for node in cluster.bricks]
        self.threads = [threading.Thread(target=self.repeat, args=(self.session, number), daemon=True)
                        for number in range(options.clients)]
        self.threads += [threading.Thread(target=self.repeat, args=(self.delivery, agent), daemon=True)
                         for agent in self.agents]
        for thread in self.threads:
            thread.start()

    def repeat(self, act, argument):
        """The life of a thread."""
        while not self.is_over:
            self.may_run.wait()
            with self.changed:
                self.active += 1
            try:
                act(argument)
            except Exception as error:  # pylint: disable=broad-except
                self.report.add("wrong", 1, f"the load itself: {error!r}")
            with self.changed:
                self.active -= 1
                self.changed.notify_all()

    def go(self, report):
        """Starts the load; what it sees is counted in the report."""
        self.report = report
        self.may_run.set()

    def rest(self):
        """Stops the load when every session has come to its end."""
        self.may_run.clear()
        with self.changed:
            if not self.changed.wait_for(lambda: self.active == 0, self.timeout * 3):
                self.report.add("wrong", 1, "a session or a delivery does not end")

    def address(self):
        """A client's, with a /64 of its own."""
        return f"2001:db8:{random.randrange(0x100, 0x1ff):x}:{random.randrange(65536):x}::1"

    def session(self, number):
        """One session, tried again until the login succeeds."""
        del number
        box = random.choice(self.boxes)
        waiting = time.monotonic()
        while True:
            way = random.choice(WAYS)
            try:
                client = Client(way, self.address(), self.timeout)
            except (Broken, ValueError, IndexError) as error:
                self.report.add("broken", 1, f"before login: {error}")
                time.sleep(0.3)
                continue
            try:
                session = Session(self, box, client)
                session.log_in()
                self.report.waited(time.monotonic() - waiting)
                self.converse(session)
                return
            except Refused as error:
                self.report.add("refused", 1, error)
            except Broken as error:
                self.report.add("broken", 1, error)
            except Failed as error:
                self.report.add("errors", 1, error)
                return
            finally:
                client.close()
            time.sleep(0.3)

    def converse(self, session):
        """The rest of a session, with the time that each reply took."""
        ask = session.client.ask

        def timed(command, error=Failed):
            begin = time.monotonic()
            try:
                return ask(command, error)
            finally:
                self.report.waited(time.monotonic() - begin)
        session.client.ask = timed
        session.look()
        session.work(self.options.fetch)
        self.report.add("sessions")
        self.report.add(session.client.node)
        if session.client.is_resumed:
            self.report.add("resumed")

    def deletable(self, box, uids):
        """Which of the fetched messages a client deletes: as many as are delivered, on the average."""
        keep = 5 if len(box.messages) < 100 else 1000
        here = len(box.state()[0])
        return [uid for uid in uids[:2] if here > keep and uid in box.by_uid and random.random() < 0.8]

    def delivery(self, agent):
        """One message by the agent of a node."""
        box = random.choice(self.boxes)
        size = random.choice((500, 2000, 2000, 9000, 70000))
        serial = box.new_serial()
        begin = time.monotonic()
        agent.stdin.write(f"{box.user} {serial} {size}\n")
        agent.stdin.flush()
        words = agent.stdout.readline().split()
        if words[:3] == [box.user, str(serial), "ok"]:
            box.delivered(serial, words[3])
            self.report.add("delivered")
        else:
            self.report.add("undelivered")
        time.sleep(max(0.0, self.options.pace - (time.monotonic() - begin)))

    def stop(self):
        """Ends the threads and the agents."""
        self.is_over = True
        for agent in self.agents:
            agent.kill()


def start_agent(node, *words):
    """agent.py on a node, as the mail user, with a /tmp of its own."""
    place = os.path.join(WORK, "agent")
    os.makedirs(place, exist_ok=True)
    for name in ("agent.py", "model.py"):
        shutil.copy(os.path.join(TREE, "tests", "cluster", name), place)
    begin = 'mount -t tmpfs -o mode=1777 tmpfs /tmp && exec "$@"'
    identity = ["setpriv", "--reuid", str(MAIL_UID), "--regid", str(MAIL_UID), "--clear-groups"]
    return subprocess.Popen(
        node.inside("unshare", "--mount", "sh", "-c", begin, "sh", *identity, "/usr/bin/python3",
                    os.path.join(place, "agent.py"), *words),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        stderr=open(os.path.join(node.log_directory, "agent"), "ab"))  # pylint: disable=consider-using-with
