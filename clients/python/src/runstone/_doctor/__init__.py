"""``runstone doctor``: looks at everything that Runstone needs here, and says what to do.

model          a line of the report, a check, what was asked
running        all checks side by side, each with its deadline
table          which checks there are, in the order of the report
masking        no secret leaves
places         where the services are, without starting one
locks          whether a process holds a lock file

installation   Python, distributions, optional libraries
configuration  what is set, where it comes from, what contradicts
variables      the names that servers read
suite          the embedded suite of a data folder
services       tracking, artifact, registry: reachable, fast, well, of which version
health         the gRPC health protocol, spoken without generated code
gateway        MLflow's REST API
stores         the database and the object store that the environment names
certificates   TLS
access         tokens, and whether each service takes them
folders        disks, file systems, permissions
journals       what waits for delivery, offline folders
processes      forks, ranks, open files

A check knows nothing of the others, and its module is imported when it runs: whatever is broken
hides no other line. Nothing here writes, but for a probe file that is removed at once.
"""
