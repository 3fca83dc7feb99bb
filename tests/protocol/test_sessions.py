"""Scripted sessions: every transcript in sessions/, however the network cuts the octets."""
import concurrent.futures
import os
import random
import shutil

import pytest

import harness
import transcript

NAMES = sorted(name[:-4] for name in os.listdir(transcript.DIRECTORY) if name.endswith(".txt"))
TRANSCRIPTS = {name: transcript.Transcript(name) for name in NAMES}
FORMS = [(name, form) for name in NAMES for form in TRANSCRIPTS[name].forms()]
EVERY_CUT = [(name, form) for name, form in FORMS
             if TRANSCRIPTS[name].header.get("split") == "every"]
TRANSPORTS = ["socketpair", "pipes"]
WORKERS = 4

IN_STEPS = ("steps", b"\r\n", ())
WAYS = {
    "in_one_write": ("stream", b"\r\n", ()),
    "octet_by_octet": ("stream", b"\r\n", "octets"),
    "with_lf_line_ends": ("steps", b"\n", ()),
    "with_lf_in_one_write": ("stream", b"\n", ()),
}


def play(lab, name, form, transport, way):
    """Plays in a home of its own. Returns what the server sent."""
    script = TRANSCRIPTS[name]
    home = harness.Home(lab, os.fsdecode(script.login), os.fsdecode(script.password))
    try:
        return transcript.play(lab, script, form, transport, way, home)
    finally:
        shutil.rmtree(home.path)


def comparable(name, octets):
    """The timestamp of APOP differs each time. Everything else must not."""
    script = TRANSCRIPTS[name]
    return octets.partition(b"\r\n")[2] if "{STAMP}" in script.steps[0].server[0] else octets


@pytest.mark.parametrize("transport", TRANSPORTS + ["tcp"])
@pytest.mark.parametrize("name,form", FORMS)
def test_session_as_written(lab, name, form, transport):
    play(lab, name, form, transport, IN_STEPS)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("name,form", FORMS)
def test_replies_do_not_depend_on_how_commands_arrive(lab, name, form, transport, way):
    expected = play(lab, name, form, transport, IN_STEPS)
    got = play(lab, name, form, transport, WAYS[way])
    assert comparable(name, got) == comparable(name, expected)


def play_cuts(lab, name, form, transport, cuts):
    expected = comparable(name, play(lab, name, form, transport, IN_STEPS))
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        runs = {cut: pool.submit(play, lab, name, form, transport, ("stream", b"\r\n", (cut,)))
                for cut in cuts}
        for cut, run in runs.items():
            assert comparable(name, run.result()) == expected, f"cut at octet {cut}"


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("name,form", FORMS)
def test_session_cut_in_two_at_some_offsets(lab, name, form, transport):
    length = transcript.stream_length(TRANSCRIPTS[name], form)
    chance = random.Random(f"{name} {form} {transport}")
    play_cuts(lab, name, form, transport, sorted({chance.randrange(1, length) for _ in range(5)}))


@pytest.mark.parametrize("name,form", EVERY_CUT)
def test_session_cut_in_two_at_every_offset(lab, name, form):
    length = transcript.stream_length(TRANSCRIPTS[name], form)
    play_cuts(lab, name, form, "socketpair", range(1, length))


def test_there_are_transcripts():
    assert len(NAMES) >= 20
    assert len(EVERY_CUT) >= 5
