"""Data sets, so that a run can say what it read: ``runstone.log_input(from_pandas(frame, …))``.

A data set is known by its name and the digest of its content. numpy and pandas load where used.
"""

from runstone.data._dataset import Dataset
from runstone.data._numpy import from_numpy
from runstone.data._pandas import from_pandas

__all__ = ["Dataset", "from_numpy", "from_pandas"]
