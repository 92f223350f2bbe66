"""Run projects: code in a folder, a git repository or an archive, as its MLproject file says."""
