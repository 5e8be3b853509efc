"""Runs Twisted's own transport tests against our transport, in a process of its own (see twisted_suite.py)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def test_twisteds_own_transport_tests_pass(tmp_path):
    path = os.pathsep.join([str(HERE), str(HERE.parent.parent), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(
        [sys.executable, "-m", "twisted.trial", f"--temp-directory={tmp_path}/trial", "twisted_suite"],
        env={**os.environ, "PYTHONPATH": path}, cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )
    passed = re.search(r"^PASSED \((?:skips=\d+, )?successes=(\d+)\)", run.stdout, re.M)
    assert passed is not None, run.stdout[-4000:]
    # Twisted 26.10 gives 202; a much smaller number would mean that its classes were not found.
    assert int(passed.group(1)) > 150, run.stdout[-4000:]
