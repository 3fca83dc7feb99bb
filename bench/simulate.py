#!/usr/bin/env python3
"""simulate: how busy so many hosts are, and how long clients wait, when mailboxes are polled.

    bench/simulate.py --mailboxes 10M --minutes 5 --nodes 60 --cores 16
    bench/simulate.py --mailboxes 10M --minutes 5 --nodes 60 --cores 16 --lose 3
    bench/simulate.py --table            the capacity table of doc/SCALING
    bench/simulate.py --plots            the plots of doc/SCALING, into bench/results

Polls arrive at random (Poisson). Service times are those that "bench/run checkers" measured on one
core, with their spread. The processes of a node share its cores as the kernel shares them: each has
the same part (processor sharing). The work of a session has three parts: the check of a password,
which needs one of the slots of pop3d-checkpw; what the client waits for; and the end of the
processes, for which nobody waits. A front such as HAProxy gives each new connection to the next
node. A lost node takes its sessions with it; until the front has noticed, each connection that it
gives to that node costs the client the time to connect, and then goes to another node.
"""
import argparse
import heapq
import itertools
import json
import math
import os
import random
import sys
from collections import deque

sys.dont_write_bytecode = True
BENCH = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, BENCH)

import plot  # pylint: disable=wrong-import-position

LOOK_SECONDS = 0.04  # between two looks of pop3d-checkpw for a slot (checkpw/slot.c)
BUSY = 0.7           # the load of a node that the capacity table allows


class Work:  # pylint: disable=too-few-public-methods
    """The service times of one kind of session, in seconds of one core."""

    def __init__(self, check=0.0, visible=0.001, tail=0.0, spread=(1.0, 1.0), service=0.0):
        self.check, self.visible, self.tail, self.spread = check, visible, tail, spread
        self.service = service

    @property
    def mean(self):
        return self.service + self.check + self.visible + self.tail

    def draw(self, dice):
        """The four parts of one session. spread are quantiles of the factor of the last two."""
        at = dice.random() * (len(self.spread) - 1)
        low = int(at)
        factor = self.spread[low] + (at - low) * (self.spread[low + 1] - self.spread[low])
        return self.service, self.check, self.visible * factor, self.tail * factor


class Exponential(Work):  # pylint: disable=too-few-public-methods
    """For comparisons with queueing theory."""

    def draw(self, dice):
        return 0.0, 0.0, dice.expovariate(1 / self.mean), 0.0


class SameDice(random.Random):
    """The numbers of erand48, so that polls arrive when those of bench/load.c with this seed do."""

    def __init__(self, seed):
        super().__init__()
        self.state = seed

    def random(self):
        self.state = (self.state * 0x5DEECE66D + 0xB) % (1 << 48)
        return self.state / (1 << 48)


class Session:  # pylint: disable=too-few-public-methods
    """One poll. parts are the works that are left, of service, check, visible, tail."""

    __slots__ = ("arrived", "parts", "node", "losses", "holds_slot", "asked")

    def __init__(self, arrived, parts):
        self.arrived, self.parts = arrived, parts
        self.node = None
        self.losses = 0  # of the node, when the session began
        self.holds_slot = False
        self.asked = None


class Sharing:
    """Cores that all work shares alike. background: works of others that never end."""

    def __init__(self, cores, background=0.0):
        self.cores, self.background = cores, background
        self.node = None
        self.version = 0  # of its next event
        self.active = []  # heap of (attained service at which it ends, number, session)
        self.attained = self.then = self.used = 0.0
        self.numbers = itertools.count()

    def rate(self):
        """The part of a core that each work gets."""
        return min(1.0, self.cores / max(len(self.active) + self.background, 1e-9))

    def advance(self, now):
        if self.active:
            done = (now - self.then) * self.rate()
            self.attained += done
            self.used += done * len(self.active)
        self.then = now

    def add(self, now, session, seconds):
        self.advance(now)
        heapq.heappush(self.active, (self.attained + seconds, next(self.numbers), session))

    def next_end(self):
        """When the next work ends, if none is added before."""
        if not self.active:
            return math.inf
        return self.then + max(0.0, self.active[0][0] - self.attained) / self.rate()

    def take_ended(self, now):
        self.advance(now)
        return heapq.heappop(self.active)[2]

    def clear(self):
        """Returns how many were lost."""
        lost, self.active = len(self.active), []
        return lost


class FirstCome(Sharing):
    """Cores that do one work after another to its end: for comparisons with queueing theory."""

    def __init__(self, cores, background=0.0):
        super().__init__(cores, background)
        self.queue = deque()

    def rate(self):
        return 1.0

    def add(self, now, session, seconds):
        if len(self.active) < self.cores:
            super().add(now, session, seconds)
        else:
            self.queue.append((session, seconds))

    def clear(self):
        lost, self.queue = len(self.queue), deque()
        return lost + super().clear()

    def take_ended(self, now):
        session = super().take_ended(now)
        if self.queue:
            super().add(now, *self.queue.popleft())
        return session


class Node:  # pylint: disable=too-few-public-methods
    """A host: its cores, and a process that answers all its logins in turn."""

    def __init__(self, cores, slots):
        self.cores, self.service = cores, FirstCome(1)
        cores.node = self.service.node = self
        self.slots = self.all_slots = slots
        self.up = True
        self.losses = 0


class Simulation:
    """nodes: cores of each; see the options of the program for the others."""

    def __init__(self, work, rate, seconds, nodes=1, cores=1, slots=None, seed=1, **more):
        self.work, self.rate, self.seconds = work, rate, seconds
        self.dice = random.Random(seed)
        self.arrivals = SameDice(seed)
        kind = more.get("kind", Sharing)
        slots = max(8, 2 * cores) if slots is None else slots
        self.nodes = [Node(kind(cores, more.get("background", 0.0)), slots) for _ in range(nodes)]
        self.listed = list(self.nodes)  # those that the front gives connections
        self.max_wait = more.get("max_wait", 20.0)
        self.connect_seconds = more.get("connect_seconds", 3.0)
        self.patience = more.get("patience", 30.0)
        self.warm_up = more.get("warm_up", 0.0)
        self.left = more.get("sessions", math.inf)  # After so many it runs until all have ended.
        self.events, self.numbers = [], itertools.count()
        self.turn = 0
        self.times = []     # (arrived, seconds until the client had its answers)
        self.counts = dict.fromkeys(("arrived", "died", "redirected", "refused", "late"), 0)
        self.used_at_warm_up = self.ended = 0.0

    # ---- events -----------------------------------------------------------------------------

    def at(self, when, call, *arguments):
        heapq.heappush(self.events, (when, next(self.numbers), call, arguments))

    def schedule(self, now, cores):
        """The next end of a work there; an earlier plan is void."""
        cores.version += 1
        when = cores.next_end()
        if when < math.inf:
            self.at(max(now, when), self.work_ended, cores, cores.version)

    def run(self):
        self.at(self.arrivals.expovariate(self.rate), self.arrive)
        self.at(self.warm_up, self.warmed_up)
        while self.events:
            now, _, call, arguments = heapq.heappop(self.events)
            if now > self.seconds and self.left == math.inf:
                break
            self.ended = now
            call(now, *arguments)
        if self.left < math.inf:
            self.seconds = self.ended
        self.advance(self.seconds)
        return self

    def advance(self, now):
        for node in self.nodes:
            node.cores.advance(now)
            node.service.advance(now)

    def used(self):
        return sum(node.cores.used + node.service.used for node in self.nodes)

    def warmed_up(self, now):
        self.advance(now)
        self.used_at_warm_up = self.used()

    def arrive(self, now):
        self.left -= 1
        if self.left > 0:
            self.at(now + self.arrivals.expovariate(self.rate), self.arrive)
        self.counts["arrived"] += now >= self.warm_up
        self.connect(now, Session(now, list(self.work.draw(self.dice))))

    # ---- the front --------------------------------------------------------------------------

    def connect(self, now, session):
        """Gives a connection to the next node."""
        if not self.listed:
            self.counts["refused"] += 1
            return
        self.turn += 1
        node = self.listed[self.turn % len(self.listed)]
        if node.up:
            self.begin(now, session, node)
            return
        self.counts["redirected"] += 1
        if now + self.connect_seconds - session.arrived > self.patience:
            self.counts["refused"] += 1
        else:
            self.at(now + self.connect_seconds, self.connect, session)

    def lose(self, now, node, notice, back):
        """A host is lost. The front notices after so many seconds; later the host is back."""
        for cores in (node.cores, node.service):
            self.counts["died"] += cores.clear()
            self.schedule(now, cores)
        node.up, node.slots = False, node.all_slots
        node.losses += 1
        self.at(now + notice, lambda _: self.listed.remove(node))
        self.at(now + back, self.come_back, node)

    def come_back(self, _, node):
        node.up = True
        self.listed.append(node)

    # ---- a session --------------------------------------------------------------------------

    def begin(self, now, session, node):
        session.node, session.losses = node, node.losses
        self.go_on(now, session, node.service)

    def go_on(self, now, session, cores):
        """Begins the first of the parts that are left, there or, for a check, in a slot."""
        seconds = session.parts.pop(0)
        if len(session.parts) == 2 and seconds > 0:
            session.parts.insert(0, seconds)
            session.asked = now
            self.look_for_slot(now, session)
        elif seconds > 0:
            cores.add(now, session, seconds)
            self.schedule(now, cores)
        elif session.parts:
            self.go_on(now, session, session.node.cores)

    def look_for_slot(self, now, session):
        """As pop3d-checkpw does: whoever looks when one is free has it."""
        node = session.node
        if node.losses != session.losses:
            self.counts["died"] += 1
        elif node.slots > 0:
            node.slots -= 1
            session.holds_slot = True
            node.cores.add(now, session, session.parts.pop(0))
            self.schedule(now, node.cores)
        elif now - session.asked > self.max_wait:
            self.counts["refused"] += 1
        else:
            self.at(now + LOOK_SECONDS, self.look_for_slot, session)

    def work_ended(self, now, cores, version):
        if version != cores.version:
            return
        session = cores.take_ended(now)
        if session.holds_slot:
            session.holds_slot = False
            session.node.slots += 1
        if len(session.parts) == 1:
            self.answered(now, session)
        if session.parts:
            self.go_on(now, session, session.node.cores)
        self.schedule(now, cores)

    def answered(self, now, session):
        if session.arrived >= self.warm_up:
            self.times.append((session.arrived, now - session.arrived))
            self.counts["late"] += now - session.arrived > 1.0

    # ---- results ----------------------------------------------------------------------------

    def utilisation(self):
        """The part of the time that the cores work, of all nodes together."""
        used = self.used() - self.used_at_warm_up
        cores = sum(node.cores.cores for node in self.nodes)
        return used / cores / (self.seconds - self.warm_up)

    def percentile(self, percent):
        ordered = sorted(seconds for _, seconds in self.times)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else 0.0

    def mean(self):
        return sum(seconds for _, seconds in self.times) / max(1, len(self.times))

    def throughput(self):
        """Sessions answered a second."""
        return len(self.times) / (self.seconds - self.warm_up)

    def percentiles_by_second(self, percent):
        """[(second, seconds until answered)] of the sessions that arrived in it."""
        by_second = {}
        for arrived, seconds in self.times:
            by_second.setdefault(int(arrived), []).append(seconds)
        return [(second, sorted(found)[min(len(found) - 1, int(len(found) * percent / 100))])
                for second, found in sorted(by_second.items())]


# ---- measured service times -----------------------------------------------------------------

KINDS = {  # Names in the tables: the checker that was measured, the engine of TLS
    "yescrypt, own file": ("pop3d-checkpw, yescrypt", None),
    "bcrypt 10, own file": ("pop3d-checkpw, bcrypt, cost 10", None),
    "sha512crypt, own file": ("pop3d-checkpw, sha512crypt, 5,000 rounds", None),
    "bcrypt 5, own file": ("pop3d-checkpw, bcrypt, cost 5", None),
    "--dovecot, cached": ("--dovecot, a passdb without hashes, cache", None),
    "--dovecot, cached, HAProxy TLS": ("--dovecot, a passdb without hashes, cache",
                                       "HAProxy + pop3d, resumed"),
    "--dovecot, cached, pop3d-tls": ("--dovecot, a passdb without hashes, cache",
                                     "pop3d-tls, ECDSA, resumed"),
}


def read_figures(path):
    """The figures of "bench/run checkers", of all its tables."""
    with open(path, encoding="utf-8") as file:
        tables = json.load(file)["tables"]
    return {name: found for table in tables for name, found in table.get("figures", {}).items()}


def work_of(figures, checker, engine=None, with_client=False):
    """The service times of a kind. with_client: the client runs on the same machine."""
    found = figures[checker]
    check, service = found["check_ms"], found.get("service_ms", 0)
    whole = found["cpu_ms"] + (found["client_ms"] if with_client else 0)
    rest = max(0.1, whole - check - service)
    # What the client waits for when nobody else is served; the rest comes after the answers.
    visible = min(rest, max(0.2 * rest, found["alone_ms"] - check - service))
    tail = rest - visible
    if engine:
        visible += figures[engine]["extra_ms"]
    return Work(check / 1e3, visible / 1e3, tail / 1e3, found["spread"], service / 1e3)


# ---- the program ----------------------------------------------------------------------------

def number(text):
    units = {"k": 1e3, "M": 1e6}
    return float(text[:-1]) * units[text[-1]] if text[-1:] in units else float(text)


def describe(simulation):
    """The results of one simulation, a line each."""
    counts = simulation.counts
    return "\n".join([
        f"polls arrived            {counts['arrived']:,} ({simulation.rate:,.0f} a second)",
        f"answered a second        {simulation.throughput():,.0f}",
        f"cores busy               {simulation.utilisation():.0%}",
        f"until answered, ms       {simulation.percentile(50) * 1e3:.1f} (median), "
        f"{simulation.percentile(90) * 1e3:.1f} (90 %), {simulation.percentile(99) * 1e3:.1f} (99 %)",
        f"later than a second      {counts['late']:,}",
        f"died with their host     {counts['died']:,}",
        f"given to a lost host     {counts['redirected']:,}",
        f"refused                  {counts['refused']:,}"])


def simulate_one(a, work):
    rate = a.mailboxes / a.minutes / 60
    simulation = Simulation(work, rate, a.seconds, a.nodes, a.cores, seed=a.seed,
                            connect_seconds=a.connect_seconds, warm_up=min(5.0, a.seconds / 4))
    for node in simulation.nodes[:a.lose]:
        simulation.at(a.seconds / 3, simulation.lose, node, a.notice, a.seconds / 3)
    return simulation.run()


def least_nodes(work, rate, cores, busy):
    """So many that neither the cores nor Dovecot's service of a host are busier than that."""
    return math.ceil(rate * max(work.mean / cores, work.service) / busy)


def capacity_rows(figures, a):
    """Rows of the capacity table, with a node more than the load needs."""
    for mailboxes, minutes in itertools.product((1e3, 1e5, 1e7), (5, 15)):
        rate = mailboxes / minutes / 60
        for kind, (checker, engine) in KINDS.items():
            if checker not in figures or (engine and engine not in figures):
                continue
            work = work_of(figures, checker, engine)
            cores = rate * work.mean
            nodes = least_nodes(work, rate, a.cores, BUSY) + 1
            open_sessions = rate * a.session_seconds
            memory = open_sessions * a.session_kb + min(rate * work.check, nodes * 2 * a.cores) * (
                16384 if "yescrypt" in kind else 0)
            yield (f"{mailboxes:,.0f}", minutes, kind, f"{rate:,.1f}", f"{cores:,.2f}", nodes,
                   f"{memory / nodes / 1024:,.0f}", f"{rate * a.calls:,.0f}")


def print_table(figures, a):
    head = ("mailboxes", "poll, min", "checker", "logins/s", "cores busy", f"nodes of {a.cores}",
            "MB a node", "calls on mail/s")
    rows = [head, *capacity_rows(figures, a)]
    for row in rows:
        print(f"{row[0]:>10}  {row[1]:>9}  {row[2]:31} {row[3]:>9} {row[4]:>10} {row[5]:>11} "
              f"{row[6]:>9} {row[7]:>15}")


def save(name, text):
    with open(os.path.join(BENCH, "results", name), "w", encoding="utf-8") as file:
        file.write(text)
    print(f"bench/results/{name}")


def plot_waits(figures, a):
    """How long clients wait, by the number of nodes."""
    series = {}
    for kind in ("yescrypt, own file", "sha512crypt, own file", "--dovecot, cached"):
        work = work_of(figures, *KINDS[kind])
        rate = a.mailboxes / a.minutes / 60
        for busy in (0.97, 0.93, 0.87, 0.8, 0.7, 0.5):
            nodes = least_nodes(work, rate, a.cores, busy)
            found = Simulation(work, rate, a.seconds / 5, nodes, a.cores, warm_up=2).run()
            series.setdefault(kind.split(",")[0], []).append((nodes, found.percentile(99) * 1e3))
            print(f"{kind}: {nodes} nodes, {found.utilisation():.0%} busy, 99 % within "
                  f"{found.percentile(99) * 1e3:.1f} ms, {found.counts['refused']} refused", flush=True)
    save("simulate-nodes.svg", plot.lines(
        f"{a.mailboxes:,.0f} mailboxes, polled every {a.minutes:g} minutes", f"nodes of {a.cores} cores",
        "ms until answered, 99 %", series))


def plot_losses(figures, a):
    """What the loss of a node does to the rest, second by second."""
    series = {}
    work = work_of(figures, *KINDS["--dovecot, cached"])
    rate = a.mailboxes / a.minutes / 60
    for busy in (0.6, 0.8, 0.95):
        nodes = least_nodes(work, rate, a.cores, busy)
        found = Simulation(work, rate, a.seconds, nodes, a.cores, warm_up=2,
                           connect_seconds=a.connect_seconds)
        found.at(10, found.lose, found.nodes[0], a.notice, 20)
        found.run()
        counts = found.counts
        print(f"{nodes} nodes, {found.utilisation():.0%} busy, one lost for 20 s: {counts['arrived']:,} "
              f"polls, {counts['died']:,} died, {counts['redirected']:,} given to the lost node, "
              f"{counts['late']:,} later than 1 s, {counts['refused']:,} refused", flush=True)
        series[f"{nodes} nodes"] = [(second + 1, wait * 1e3)
                                    for second, wait in found.percentiles_by_second(99)]
    save("simulate-loss.svg", plot.lines(
        "One node lost in second 10 and back in second 30", "second",
        "ms until answered, 99 %", series))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--table", action="store_true", help="the capacity table")
    parser.add_argument("--plots", action="store_true", help="the plots")
    parser.add_argument("--figures", default=os.path.join(BENCH, "results", "quick-checkers.json"),
                        help="the results of bench/run checkers")
    parser.add_argument("--kind", choices=list(KINDS), default="--dovecot, cached", metavar="KIND",
                        help=f"checker: {'; '.join(KINDS)}")
    parser.add_argument("--mailboxes", type=number, default=1e7, help="10M, 100k")
    parser.add_argument("--minutes", type=float, default=5, help="between two polls of a mailbox")
    parser.add_argument("--nodes", type=int, default=20, help="hosts")
    parser.add_argument("--cores", type=int, default=16, help="of a host")
    parser.add_argument("--seconds", type=float, default=40, help="simulated time")
    parser.add_argument("--lose", type=int, default=0, help="hosts, after a third of the time")
    parser.add_argument("--notice", type=float, default=6,
                        help="seconds until the front has noticed: inter x fall of HAProxy")
    parser.add_argument("--connect-seconds", type=float, default=2,
                        help="HAProxy's timeout connect, with option redispatch 1")
    parser.add_argument("--session-seconds", type=float, default=2,
                        help="how long a session is open, for the memory in the table")
    parser.add_argument("--session-kb", type=float, default=100, help="memory of an open session")
    parser.add_argument("--calls", type=float, default=23,
                        help="system calls on the Maildir of a poll, see bench/run files")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main():
    a = parse()
    figures = read_figures(a.figures)
    if a.table:
        print_table(figures, a)
    elif a.plots:
        plot_waits(figures, a)
        plot_losses(figures, a)
    else:
        print(describe(simulate_one(a, work_of(figures, *KINDS[a.kind]))))


if __name__ == "__main__":
    main()
