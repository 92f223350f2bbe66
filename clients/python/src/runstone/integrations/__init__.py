"""Hooks for training frameworks: what they train is a run, without a line of logging.

One module for each framework, which is imported with it: ``runstone.integrations.lightning`` has
``RunstoneLogger``, ``.accelerate`` ``RunstoneTracker``, ``.ray`` ``RunstoneLoggerCallback`` and
``setup_runstone``; ``.transformers``, ``.keras``, ``.xgboost``, ``.lightgbm``, ``.optuna`` and
``.hydra`` have ``RunstoneCallback``. Importing one without its framework raises ``LibraryMissing``.

All of them log to the active run and leave it open, or begin a run of their own and end it
FINISHED, FAILED or KILLED; ``Where`` has what may be said of that. What keeps a run from being
begun is raised, for nothing is trained yet. After that nothing is: it is said once by the logger
``runstone``.
"""

from runstone._integrations.where import Where

__all__ = ["Where"]
