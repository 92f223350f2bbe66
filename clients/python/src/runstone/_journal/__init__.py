"""What a process logs, on its own disk until it is delivered.

format     the frames of a journal file, and the names of the files
folder     the folder of one process: where it is, who it is, its locks
rules      what may be logged, and the settings
writer     append to it
reader     read it, around damage
progress   what the sender tells the writer, and the receipt of points that were dropped

Written by the process that trains, read by its sender (``runstone._sender``). Nothing here loads
gRPC, protobuf or numpy.
"""

ending = False
"""The program is over and its last functions run: what they log has to look after itself."""
