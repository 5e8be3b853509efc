"""A voice for calls: a microphone that somebody seems to speak into, and what comes out of the loudspeaker.

Clients take noise and steady tones away before they send sound, so it goes up and down as syllables do.
"""

from __future__ import annotations

import math
import random
import struct
import time
import wave
from pathlib import Path

from tests.interop.desk import Desk

RATE = 16_000
MODULES = ("module-native-protocol-unix", "module-null-sink sink_name=loudspeaker", "module-null-sink sink_name=voice",
           "module-remap-source master=voice.monitor source_name=microphone")
#: How loud it is at least, as the root of the mean square of samples up to 32767; silence is 0.
HEARD = 200.0


def speech(file: Path, repeated: int = 90) -> None:
    """A WAV of ten seconds, so many times: longer than any test."""
    chance = random.Random(5)
    samples: list[int] = []
    while len(samples) < RATE * 10:
        pitch, phase = chance.uniform(110, 220), 0.0
        vowel = chance.uniform(400, 800), chance.uniform(1000, 2200)
        length = int(RATE * chance.uniform(0.12, 0.3))
        for at in range(length):
            bow = math.sin(math.pi * at / length)
            phase += 2 * math.pi * pitch * (1 + 0.15 * bow) / RATE
            value = sum(math.sin(phase * k) * (1 / (1 + ((pitch * k - vowel[0]) / 200) ** 2)
                                               + 0.6 / (1 + ((pitch * k - vowel[1]) / 300) ** 2)) for k in range(1, 14))
            samples.append(int(max(-32_000, min(32_000, bow ** 0.5 * value * 9_000))))
        samples += [0] * int(RATE * chance.choice((0.05, 0.08, 0.3)))
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(struct.pack(f"<{len(samples)}h", *samples) * repeated)


def sound(at: Desk) -> None:
    """PulseAudio, with the devices above and no hardware."""
    at.start("pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", *(f"--load={one}" for one in MODULES))
    socket = at.home / "run/pulse/native"
    deadline = time.monotonic() + 30
    while not socket.exists():
        assert time.monotonic() < deadline, at.log("pulseaudio")
        time.sleep(0.1)


def speak(at: Desk, file: Path) -> None:
    """Into the microphone, until the file ends."""
    at.start("paplay", "--device=voice", str(file))


def hears(at: Desk, within_s: float = 60) -> bool:
    """Does something come out of the loudspeaker in this time?"""
    raw, deadline = at.home / "heard.raw", time.monotonic() + within_s
    while True:
        raw.unlink(missing_ok=True)
        at.start("parec", "--device=loudspeaker.monitor", "--format=s16le", f"--rate={RATE}", "--channels=1", "--raw",
                 str(raw))
        time.sleep(2)
        at.end("parec")
        data = raw.read_bytes()
        samples = struct.unpack(f"<{len(data) // 2}h", data[:len(data) // 2 * 2])
        loud = math.sqrt(sum(one * one for one in samples) / max(len(samples), 1))
        if loud > HEARD or time.monotonic() > deadline:
            return loud > HEARD
