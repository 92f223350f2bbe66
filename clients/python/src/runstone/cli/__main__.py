"""`python -m runstone.cli`, the same as `runstone`."""

import sys

from runstone.cli import main

sys.exit(main())
