"""`python -m agent.cli`, the same as `holdfast`."""

import sys

from agent.cli import main

sys.exit(main())
