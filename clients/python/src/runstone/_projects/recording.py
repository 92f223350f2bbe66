"""What a run of a project keeps of how it was run: enough to run it again.

Tags have MLflow's names, params are the parameters, and one artifact holds the rest:

source/project.json       the record, see ``record``
source/diff.patch         what differed from the commit, for `git apply`
source/environment/...    the files that the environment was made of
"""

from __future__ import annotations

RECORD = "source/project.json"
PATCH = "source/diff.patch"
ENVIRONMENT = "source/environment"
