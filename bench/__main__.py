"""`bench/run`: measure chatd beside Prosody and ejabberd, print the table, keep the results."""

from __future__ import annotations

import argparse
import datetime
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from bench import ready, report
from bench.generator import GeneratorFailed
from bench.plan import Measurement, Plan, prepare, run_round, say
from bench.servers import ALL, Server, Site
from bench.servers.base import ServerFailed

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BUILD = ROOT / "build" / "bench"
SERVER_CORE, GENERATOR_CORE = 0, 1


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round: a look, not a result")
    parser.add_argument("--only", help=f"these servers, separated by commas: {', '.join(ALL)}")
    parser.add_argument("--rounds", type=int, help="default 3")
    parser.add_argument("--seconds", type=float, help="length of each measurement, default 4")
    parser.add_argument("--sessions", type=int, help="idle sessions for log-in and memory, default 1000")
    parser.add_argument("--commit", help="chatd as of this commit, not as the files are now")
    parser.add_argument("--archive", choices=["off", "on", "both"], default="both")
    parser.add_argument("--rooms", choices=["with", "only", "without"], default="with", help="group chat")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="where the results are kept")
    parser.add_argument("--loadgen", type=Path, default=BUILD / "loadgen", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def _plan(arguments: argparse.Namespace) -> tuple[Plan, int]:
    plan, rounds = Plan(), 3
    if arguments.quick:
        plan, rounds = Plan(sessions=300, warm_s=0.5, seconds=2.0, settle_s=1.5), 1
    if arguments.sessions:
        plan = attrs.evolve(plan, sessions=arguments.sessions)
    if arguments.seconds:
        plan = attrs.evolve(plan, seconds=arguments.seconds, room_seconds=arguments.seconds)
    if arguments.rooms == "only":
        plan = attrs.evolve(plan, people=False, sessions=min(plan.sessions, 300))
    elif arguments.rooms == "without":
        plan = attrs.evolve(plan, rooms=())
    return plan, arguments.rounds or rounds


def _install(server: type[Server]) -> str | None:
    """Why the server's Debian packages are not there, or None."""
    packages = ready.missing_packages([*ready.NEEDED, *server.debian_packages])
    if packages:
        try:
            ready.install(packages)
        except (ready.NotReady, OSError, subprocess.CalledProcessError) as error:
            return str(error)
    return None


def _choose(only: str | None) -> dict[str, type[Server]]:
    names = only.split(",") if only else list(ALL)
    unknown = [name for name in names if name not in ALL]
    if unknown:
        raise SystemExit(f"bench: no such server: {', '.join(unknown)}")
    chosen = {}
    for name in names:
        reason = _install(ALL[name]) or ALL[name].missing()
        if reason:
            say(f"bench: without {ALL[name].title}: {reason}")
        else:
            chosen[name] = ALL[name]
    if not chosen:
        raise SystemExit("bench: no server to measure")
    return chosen


def make_site(folder: Path, accounts: int, commit: str | None = None) -> Site:
    """A certificate in `folder`, chatd of that commit beside it, and what the servers have in common."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=bench.test"),
            *("-addext", "subjectAltName=DNS:bench.test"),
        ],
        check=True,
        capture_output=True,
    )
    checkout = _check_out(commit, folder / "checkout") if commit else ROOT
    return Site("bench.test", certificate, key, accounts, "a-password-of-the-bench", 4096, SERVER_CORE, checkout)


def _check_out(commit: str, folder: Path) -> Path:
    """Put chatd of that commit into `folder`, without touching the working tree."""
    packed = subprocess.run(
        ["git", "archive", "--format=tar", commit, "chatd", "twisted"], cwd=ROOT, stdout=subprocess.PIPE, check=False
    )
    if packed.returncode:
        raise SystemExit(f"bench: no commit {commit}")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def _git(*command: str) -> str:
    try:
        done = subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _write(arguments: argparse.Namespace, facts: dict[str, Any], text: str) -> Path:
    name = f"{facts['date'][:10]}-{facts['commit'] or 'unknown'}{'-quick' if arguments.quick else ''}"
    arguments.results.mkdir(parents=True, exist_ok=True)
    path: Path = arguments.results / name
    number = 1
    while path.with_suffix(".json").exists():
        number += 1
        path = arguments.results / f"{name}-{number}"
    path.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")
    path.with_suffix(".md").write_text(text + "\n")
    return path


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bench; 0 if every measurement counts, 1 if one does not."""
    arguments = _arguments(argv)
    cores = os.sched_getaffinity(0)
    if not {SERVER_CORE, GENERATOR_CORE} <= cores:
        raise SystemExit("bench: needs the cores 0 and 1, one for the server and one for the load generator")
    plan, rounds = _plan(arguments)
    chosen = _choose(arguments.only)
    try:
        ready.allow_descriptors(plan.accounts + 1000)
        ready.build(arguments.loadgen)
    except ready.NotReady as error:
        raise SystemExit(f"bench: {error}") from error
    date = datetime.datetime.now(datetime.UTC)
    found: list[dict[str, Any]] = []
    load = os.getloadavg()[0]
    # Now: while it measures, somebody may commit.
    commit = _git("rev-parse", "--short=10", arguments.commit or "HEAD")
    changed = not arguments.commit and bool(_git("status", "--porcelain", "--", "chatd"))
    with tempfile.TemporaryDirectory(prefix="chatd-bench-") as temporary:
        folder = Path(temporary)
        site = make_site(folder, plan.accounts, arguments.commit and commit)
        _measure(chosen, site, folder, plan, rounds, arguments, found)

    facts: dict[str, Any] = {
        "date": date.isoformat(timespec="seconds"),
        "commit": commit,
        "changed": changed,
        "machine": {"processor": _processor(), "kernel": platform.release()},
        "python": platform.python_version(),
        "load_before": load,
        "plan": attrs.asdict(plan),
        "rounds": rounds,
        "versions": {name: cls.version() for name, cls in chosen.items()},
        "measurements": found,
    }
    titles = {name: cls.title for name, cls in chosen.items()}
    lines = report.rows(plan.rates_off, plan.rates_on, plan.rooms)
    text = "\n\n".join(
        [
            f"# {facts['date']}, commit {facts['commit']}{' with changes' if facts['changed'] else ''}",
            f"{'; '.join(facts['versions'].values())}. {facts['machine']['processor']}, Linux "
            f"{facts['machine']['kernel']}; load before: {load:.1f}. "
            f"Medians of {rounds} round(s) of {plan.seconds:g} s (rooms: {plan.room_seconds:g} s), {plan.pairs} pairs, "
            f"{plan.lonely} sessions.",
            report.table(lines, titles, found),
            *(
                ["**Do not count:**\n" + "\n".join(f"- {line}" for line in report.problems(found))]
                if report.problems(found)
                else []
            ),
        ]
    )
    path = _write(arguments, facts, text)
    print(text)
    say(f"\nkept in {path}.json and .md")
    return 1 if report.problems(found) else 0


def _measure(
    chosen: dict[str, type[Server]],
    site: Site,
    folder: Path,
    plan: Plan,
    rounds: int,
    arguments: argparse.Namespace,
    found: list[dict[str, Any]],
) -> None:
    """Prepare each program once, then all servers in turn, round by round; one that fails is left out."""

    def record(measurement: Measurement) -> None:
        found.append(attrs.asdict(measurement))

    def fail(name: str, archive: bool, number: int, error: Exception) -> None:
        say(f"  {name}: {error}")
        record(Measurement(name, archive, "failed", number, {}, f"{type(error).__name__}: {error}"))

    templates: dict[str, Path] = {}
    for name, cls in chosen.items():
        if cls.program in templates:
            continue
        template = folder / f"{cls.program}-template"
        say(f"preparing {cls.title}")
        cache = folder / f"{cls.program}.scram"
        try:
            prepare(cls(site, template), arguments.loadgen, GENERATOR_CORE, cache, plan)
        except (ServerFailed, GeneratorFailed, RuntimeError) as error:
            fail(name, False, 0, error)
            _keep_logs(template, arguments)
            shutil.rmtree(template, ignore_errors=True)  # a variant of the program tries again
            continue
        templates[cls.program] = template

    modes = {"off": [False], "on": [True], "both": [False, True]}[arguments.archive]
    order = [name for name, cls in chosen.items() if cls.program in templates]
    for number in range(1, rounds + 1):
        for archive in modes:
            for name in order:
                cls = chosen[name]
                say(f"round {number}, {cls.title}, archive {'on' if archive else 'off'}")
                server = cls(site, folder / name, archive)
                try:
                    run_round(
                        server, templates[cls.program], arguments.loadgen, GENERATOR_CORE,
                        folder / f"{cls.program}.scram", plan, number, record,
                    )  # fmt: skip
                except (ServerFailed, GeneratorFailed, RuntimeError) as error:
                    fail(name, archive, number, error)
                    _keep_logs(server.folder, arguments)
        order = order[1:] + order[:1]


def _keep_logs(folder: Path, arguments: argparse.Namespace) -> None:
    for log in folder.glob("*.log"):
        target = arguments.loadgen.parent / f"{folder.name}-{log.name}"
        target.write_bytes(log.read_bytes()[-100_000:])
        say(f"  see {target}")


if __name__ == "__main__":
    sys.exit(main())
