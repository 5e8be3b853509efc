"""Lets wokkel 18.0.0 run on Twisted 26: import this module before anything of wokkel.

COMPAT(wokkel 18.0.0, since Twisted 22): wokkel imports two things that Twisted no longer has.
- `twisted.python.compat._PY3`, a constant that said which Python runs: it is put back as True.
- `twisted.python.constants`: its contents live on as the package `constantly`, registered under the old name.

Importing it twice does nothing more; it changes nothing that Twisted itself uses. With it every module of
wokkel imports and 653 of its 657 tests pass. The other four: one expects bytes for a host name, two count
the warnings of a deprecated call, one stops a wokkel.component.Component before it began to connect.
"""

from __future__ import annotations

import sys

import constantly
from twisted import python as _twisted_python
from twisted.python import compat as _twisted_compat

if not hasattr(_twisted_compat, "_PY3"):
    _twisted_compat._PY3 = True  # type: ignore[attr-defined]

if "twisted.python.constants" not in sys.modules:
    sys.modules["twisted.python.constants"] = constantly
    _twisted_python.constants = constantly  # type: ignore[attr-defined]
