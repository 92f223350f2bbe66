"""Offline mode: what a training logs is kept in a folder, and no server is called or started.

    layout     the folder, and what stands where in it
    records    what is no point, as frames of a journal: runs, params, tags, files …
    files      copies of artifacts
    catalogue  what the records of a folder say: runs, their params, their files
    latest     the last values of metrics, from the points themselves
    store      the writing side: a process's part of the folder
    client     the client that writes there

`runstone._sync` delivers such a folder to a server.
"""
