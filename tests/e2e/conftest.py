"""What only long runs have."""

import os

FROM_AN_INDEX = ["test_project_environment.py", "test_serving_environment.py"]

collect_ignore = [] if os.environ.get("RUNSTONE_TEST_SERVING") else FROM_AN_INDEX
"""`make test-serving` has them: packages come from an index, which takes a minute or more."""
