"""bench/simulate.py beside the real thing: polls that arrive at random, up to more than it can do.

The service times are measured first, in the same run. What other processes of the machine run is
counted before each part, and is an input of the simulation.
"""
import json
import os
import statistics
import subprocess
import time

import plot
import simulate
from measure_checkers import USER, Cheapest, File, quantiles, sessions_of
from report import Range, Table
from rounds import running
from servers import Missing

LOADS = [0.2, 0.4, 0.6, 0.8, 1.2]
SHOWN = {"rate": "sessions/s", 50: "50 %, ms", 90: "90 %, ms", 99: "99 %, ms"}
CALM = 0.5       # works of others at a time, on average, that are few enough to begin
PATIENCE = 60.0  # seconds to wait for that


def runnable(own):
    """How many processes of others run or want to."""
    total = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                fields = file.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if fields[0] == "R" and int(pid) not in own:
            total += 1
    return total


def background(seconds=1.0):
    """The mean of that over a time in which we do nothing."""
    found = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found.append(runnable((os.getpid(),)))
        time.sleep(0.03)
    return sum(found) / len(found)


def await_calm():
    """Waits until others do little, but not for ever; returns how much they do."""
    end = time.monotonic() + PATIENCE
    while True:
        found = background()
        if found <= CALM or time.monotonic() > end:
            return found


def real(lab, server, rate, sessions, seed):
    """Sessions a second, and milliseconds from the arrival to the answer of QUIT."""
    server.await_quiet()
    command = lab.load_command(server, {
        "scenario": "login", "sessions": sessions, "at_once": 900, "users": USER[1:],
        "arrivals": max(1, round(rate)), "seed": seed, "values": True})
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False)
    figures = json.loads(done.stdout)
    ordered = sorted(value / 1e3 for value in figures["session_values_us"])
    found = {percent: ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]
             for percent in (50, 90, 99)}
    return {"rate": figures["sessions"] / figures["elapsed_s"], "failed": figures["failed"],
            "times": ordered, **found}


def predicted(work, cores, others, rate, sessions, seed):
    """The same by simulation, with the same arrivals."""
    run = simulate.Simulation(work, rate, 1e9, 1, cores, background=others, sessions=sessions,
                              seed=seed).run()
    return {"rate": len(run.times) / run.seconds, "failed": run.counts["refused"],
            **{percent: run.percentile(percent) * 1e3 for percent in (50, 90, 99)}}


def calibrate(lab, server, base):
    """The service times of simulate.py, measured now. base: those of the cheapest checker.

    The times and their spread are those of sessions that come seldom, a twentieth of what the
    machine could do; the CPU is that of two at a time.
    """
    sessions_of(lab, server, 5)
    both = [sessions_of(lab, server, 60, at_once=2) for _ in range(3)]
    found = {name: Range(one[kind] for one in both).median
             for name, kind in (("cpu_ms", "cpu"), ("client_ms", "client"))}
    seldom = 0.05 * os.cpu_count() / (found["cpu_ms"] + found["client_ms"]) * 1e3
    times = real(lab, server, seldom, max(40, round(8 * seldom)), 99)["times"]
    times = times[:max(1, len(times) * 97 // 100)]  # Without those that met another one.
    found["alone_ms"] = statistics.fmean(times)
    found["spread"] = quantiles(times)
    found["check_ms"] = max(0, found["cpu_ms"] - base["cpu_ms"]) if base else 0
    return found


def compare(lab, server, work, seconds, rounds):
    """Yields for each load: the load, what others did, and (real, predicted) of each round."""
    cores = os.cpu_count()
    for load in LOADS:
        rate = max(1, round(load * cores / work.mean))
        sessions = max(200, round(rate * seconds))
        pairs, others = [], []
        for number in range(rounds):
            others.append(await_calm())
            pairs.append((real(lab, server, rate, sessions, number + 1),
                          predicted(work, cores, others[-1], rate, sessions, number + 1)))
        yield load, rate, Range(others), pairs


def add_rows(table, series, server, compared):
    for load, rate, others, pairs in compared:
        row = [server.name, f"{load:.0%}", rate, others]
        for kind in SHOWN:
            one, two = (Range(pair[side][kind] for pair in pairs) for side in (0, 1))
            row += [one, two, two.over(one)]
            table.figures.setdefault(server.name, []).append(
                [load, kind, one.median, two.median, two.over(one).values])
            if kind == 99:
                series.setdefault(f"{server.short}, real", []).append((load * 100, one.median))
                series.setdefault(f"{server.short}, simulated", []).append((load * 100, two.median))
        table.add(*row, sum(pair[0]["failed"] for pair in pairs),
                  sum(pair[1]["failed"] for pair in pairs))


def tables(lab):
    homes = lab.homes("checkers")
    lab.home(homes, int(USER[1:]), count=10, names="SW", new=0)
    servers = [Cheapest(lab, homes)]  # What a check costs is what a login costs more than here.
    for title, short in (("sha512crypt, 5,000 rounds", "sha512crypt"), ("yescrypt", "yescrypt")):
        try:
            servers.append(File(lab, homes, title))
            servers[-1].short = short
        except Missing as reason:
            print(f"left out: {reason}")
    seconds, rounds = (4, 3) if lab.quick else (10, 5)
    head = ["server", "load", "polls/s", "works of others"]
    for title in SHOWN.values():
        head += [title, "simulated", "ratio"]
    table = Table("Polls that arrive at random, beside bench/simulate.py",
                  [*head, "failed", "simulated"],
                  "USER, PASS, STAT, QUIT; Poisson arrivals, the same in both; sessions a second, and the time from the"
                  " arrival to the answer of QUIT. Load is that of both processors by the measured"
                  " CPU of server and client, which run on the same machine. Works of others: how"
                  f" many other processes wanted to run, before each of {rounds} rounds of {seconds} s;"
                  " the simulation knows this number.")
    series = {}
    with running(servers) as started:
        base = None
        for server in started:
            await_calm()
            found = {server.name: calibrate(lab, server, base)}
            if base is None:
                base = found[server.name]
                continue
            work = simulate.work_of(found, server.name, with_client=True)
            add_rows(table, series, server, compare(lab, server, work, seconds, rounds))
            table.figures[f"{server.name}, service"] = found[server.name]
    table.plots["99"] = plot.lines("Until answered, 99 %: real and simulated", "load, percent",
                                   "ms", series)
    yield table
