"""`python -m chatd.ctl`: chatctl without its script."""

import sys

from chatd.ctl.main import main

sys.exit(main())
