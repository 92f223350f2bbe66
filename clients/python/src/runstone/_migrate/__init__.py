"""`runstone import mlflow` and `runstone export mlflow`: what MLflow holds, to us and back.

    model       what a source holds, as plain values; the Protocol that every source keeps
    rest        one MLflow tracking server: calls, retries, pages, bytes
    trees       files below a place, wherever it is: a folder, a server's proxy, S3
    source_rest, source_database, source_folder
                the three kinds of sources
    source      which of them a text means
    marks       the tags by which a repeated import knows what it has made
    target      the client that writes to us
    points      batches of metric points, and which of them are missing
    tally       what is counted on both sides, and what could not be carried
    run         one run, with all it has
    experiments which experiment becomes which
    registry    registered models and their versions
    copying     all of it, in the one order that may be interrupted anywhere
    export      the way back

Every step may be the last one of a process that is killed: what is there is looked for before it
is made, and a run is marked as imported when all of it is there.
"""
