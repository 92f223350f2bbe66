"""`runstone sync`: what offline mode kept in a folder, delivered to a server.

    report    what was delivered, what was refused and what waits
    state     what is known of the server, on the disk: which run became which, and how far it is
    part      what one process logged, and what of it is new
    server    the client that they all use
    runs      experiments and runs: found on the server, or made there once
    points    the points of metrics, by a sender's own code under the journal's plan
    replay    params, tags, inputs, files and ends of runs, in the order in which they were logged
    folder    all of it, in the one order that loses nothing

Every step may be the last one of a process that is killed; the next sync goes on from there.
"""
