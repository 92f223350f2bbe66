"""Files and trees to and from the artifact service, whatever their size.

    check_local(path)                               A2: a clear error before anything is sent
    upload_file(stub, owner, source, path)
    upload_tree(stub, owner, folder, directory)
    download(stub, owner, path, folder) -> Path
    read_file(stub, owner, path) -> bytes

``stub`` has the methods of ArtifactServiceStub and raises exceptions of ``runstone.exceptions``.
Small files travel many in a call; large ones by presigned URL straight to the object store when
the server offers it, else by stream. A connection that breaks is taken up where it broke.
"""

from runstone._transfer.download import download, read_file
from runstone._transfer.local import check_local
from runstone._transfer.tree import upload_tree
from runstone._transfer.upload import upload_file

__all__ = ["check_local", "download", "read_file", "upload_file", "upload_tree"]
