"""What only long runs have."""

import os

collect_ignore = [] if os.environ.get("RUNSTONE_TEST_SERVING") else ["test_serving_environment.py"]
"""`make test-serving` has it: packages come from an index, which takes a minute or more."""
