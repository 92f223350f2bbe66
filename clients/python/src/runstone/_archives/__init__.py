"""Many files as one: archives that are written from the artifact service and put back into it.

writing.py     tar.gz and zip, the same bytes for the same files
reading.py     archives of anybody, looked through before anything of them is used
restoring.py   an archive's files to a run
verifying.py   stored files compared with what was recorded, with a folder, or with an archive
models.py      versions of a registered model with all that is known of them, for another server
"""
