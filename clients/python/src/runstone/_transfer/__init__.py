"""Files and trees to and from the artifact service, whatever their size.

    check_local(path)                               A2: a clear error before anything is sent
    upload_file(stub, owner, source, path)
    upload_tree(stub, owner, folder, directory)
    upload_missing(stub, owner, path, directory)    either, but for what is there already
    download(stub, owner, path, folder) -> Path
    read_file(stub, owner, path) -> bytes
    stream_file(stub, owner, path)                  the same, piece by piece
    list_files(stub, owner, path)

``stub`` has the methods of ArtifactServiceStub and raises exceptions of ``runstone.exceptions``.
Small files travel many in a call; large ones by presigned URL straight to the object store when
the server offers it, else by stream. A connection that breaks is taken up where it broke.
"""

from runstone._transfer.download import download, list_files, read_file, stream_file
from runstone._transfer.local import check_local
from runstone._transfer.tree import upload_missing, upload_tree
from runstone._transfer.upload import upload_file

__all__ = [
    "check_local",
    "download",
    "list_files",
    "read_file",
    "stream_file",
    "upload_file",
    "upload_missing",
    "upload_tree",
]
