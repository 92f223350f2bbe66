"""``python -m runstone._sender FOLDER``: deliver the journal in a folder."""

import sys

from runstone._sender.process import main

sys.exit(main(sys.argv[1:]))
