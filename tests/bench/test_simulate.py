"""bench/simulate.py against queueing theory where there are closed forms, and by counting elsewhere."""
import math
import os
import subprocess
import sys

import pytest

BENCH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "bench")
sys.path.insert(0, BENCH)

import simulate  # noqa: E402 pylint: disable=wrong-import-position

SECOND = 0.01  # the mean service time
SESSIONS = 60000


def run(load, kind, work=None, cores=1, **more):
    """So many sessions at this load; the first twentieth is not counted."""
    rate = load * cores / SECOND
    seconds = SESSIONS / rate
    return simulate.Simulation(work or simulate.Exponential(visible=SECOND), rate, seconds,
                               cores=cores, kind=kind, warm_up=seconds / 20, **more).run()


def erlang_c(cores, load):
    """The probability that an arrival waits in M/M/c."""
    offered = cores * load
    all_busy = offered ** cores / math.factorial(cores) / (1 - load)
    return all_busy / (sum(offered ** n / math.factorial(n) for n in range(cores)) + all_busy)


@pytest.mark.parametrize("load", [0.3, 0.7])
@pytest.mark.parametrize("kind", [simulate.FirstCome, simulate.Sharing])
def test_mean_of_m_m_1(kind, load):
    found = run(load, kind)
    assert found.mean() == pytest.approx(SECOND / (1 - load), rel=0.06)
    assert found.utilisation() == pytest.approx(load, rel=0.03)
    assert found.throughput() == pytest.approx(load / SECOND, rel=0.03)


def test_percentiles_of_m_m_1():
    """The time in a first-come M/M/1 has the exponential distribution."""
    found = run(0.5, simulate.FirstCome)
    for percent in (50, 90, 99):
        expected = -math.log(1 - percent / 100) * SECOND / 0.5
        assert found.percentile(percent) == pytest.approx(expected, rel=0.08)


def test_mean_of_m_d_1():
    load = 0.7
    found = run(load, simulate.FirstCome, simulate.Work(visible=SECOND))
    assert found.mean() == pytest.approx(SECOND * (1 + load / 2 / (1 - load)), rel=0.05)


def test_sharing_does_not_depend_on_the_distribution():
    """M/G/1 with processor sharing: the mean is that of M/M/1."""
    found = run(0.7, simulate.Sharing, simulate.Work(visible=SECOND))
    assert found.mean() == pytest.approx(SECOND / 0.3, rel=0.06)


@pytest.mark.parametrize("kind", [simulate.FirstCome, simulate.Sharing])
@pytest.mark.parametrize("cores", [2, 8])
def test_mean_of_m_m_c(kind, cores):
    load = 0.8
    found = run(load, kind, cores=cores)
    waits = erlang_c(cores, load) * SECOND / cores / (1 - load)
    assert found.mean() == pytest.approx(SECOND + waits, rel=0.06)
    assert found.utilisation() == pytest.approx(load, rel=0.03)


def test_works_of_others_take_their_part():
    """With k works that never end, each time is k + 1 times as long: M/G/1 with permanent customers."""
    found = run(0.5, simulate.Sharing, background=2)
    assert found.mean() == pytest.approx(3 * SECOND / 0.5, rel=0.08)


def test_nobody_waits_for_the_tail_but_it_is_work():
    found = run(0.01, simulate.Sharing, simulate.Work(visible=SECOND / 4, tail=SECOND * 3 / 4))
    assert found.percentile(50) == pytest.approx(SECOND / 4)
    assert found.utilisation() == pytest.approx(0.01, rel=0.1)


def test_the_spread_has_its_mean():
    work = simulate.Work(visible=SECOND, spread=(0.5, 1.0, 1.5))
    found = run(0.01, simulate.FirstCome, work)
    assert found.mean() == pytest.approx(SECOND, rel=0.03)
    assert found.percentile(99) == pytest.approx(1.49 * SECOND, rel=0.02)


def test_more_checks_than_slots_wait_and_then_are_refused():
    """One slot, and twice as much to check as one core can: half of it is refused after the wait."""
    work = simulate.Work(check=SECOND, visible=SECOND / 1000)
    found = simulate.Simulation(work, 2 / SECOND, 40, slots=1, max_wait=1.0).run()
    answered = found.throughput() * 40
    assert answered == pytest.approx(40 / SECOND, rel=0.05)
    waiting = found.counts["arrived"] - answered - found.counts["refused"]
    assert 0 < waiting < 1.2 * 2 / SECOND
    assert found.percentile(99) < 1.0 + 2 * simulate.LOOK_SECONDS + SECOND


def test_a_service_takes_one_login_after_another():
    """M/D/1 in front of cores that have nothing to do."""
    load = 0.7
    found = run(load / 8, simulate.Sharing, simulate.Work(service=SECOND, visible=SECOND / 1000),
                cores=8)
    assert found.mean() == pytest.approx(SECOND * (1 + load / 2 / (1 - load)), rel=0.06)


def lose_one(nodes, **more):
    rate = 200 * nodes
    found = simulate.Simulation(simulate.Work(visible=0.002), rate, 30, nodes, warm_up=0, **more)
    found.at(10, found.lose, found.nodes[0], 6, 12)
    return found.run()


def test_a_lost_node_takes_its_share_until_the_front_notices():
    found = lose_one(4)
    # Six seconds of a quarter of the polls, and those that were sent there a second time.
    assert found.counts["redirected"] == pytest.approx(6 * 200 * 4 / 3, rel=0.2)
    assert found.counts["late"] <= found.counts["redirected"]
    assert found.counts["refused"] == 0
    assert found.counts["died"] < 10
    by_second = dict(found.percentiles_by_second(99))
    assert by_second[12] > 3 > 1 > by_second[20] and by_second[28] < 0.1


def test_a_client_without_patience_is_refused():
    found = lose_one(4, patience=2.0)
    assert found.counts["refused"] == found.counts["redirected"] > 0


def test_the_only_node():
    found = lose_one(1)
    assert found.counts["refused"] > 0
    by_second = dict(found.percentiles_by_second(99))
    assert 19 not in by_second and by_second[28] < 0.1


def test_the_same_seed_gives_the_same_result():
    one, two = (simulate.Simulation(simulate.Exponential(visible=SECOND), 80, 20, seed=7).run()
                for _ in range(2))
    assert one.times == two.times


def test_the_program_with_the_committed_figures():
    done = subprocess.run([sys.executable, os.path.join(BENCH, "simulate.py"), "--mailboxes", "100k",
                           "--nodes", "2", "--cores", "2", "--seconds", "6"],
                          capture_output=True, text=True, check=True)
    assert "answered a second" in done.stdout and "polls arrived" in done.stdout
    table = subprocess.run([sys.executable, os.path.join(BENCH, "simulate.py"), "--table"],
                           capture_output=True, text=True, check=True).stdout
    assert "10,000,000" in table and "yescrypt" in table
