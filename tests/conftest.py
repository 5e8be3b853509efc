"""What every test may rely on: wokkel's imports repaired before anything else imports wokkel, and no stray warnings.

The plugin pytest-twisted runs one reactor for the whole session; a test that needs it is a coroutine under
`pytest_twisted.ensureDeferred`. All other tests run without.
"""

from __future__ import annotations

import chatd.compat  # noqa: F401
