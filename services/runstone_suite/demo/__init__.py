"""The main job from end to end on real data: train, log, store, register, promote, load, predict.

`make demo`, or `python -m runstone_suite.demo`. It reads as a user's own script would: everything
goes through `import runstone`.
"""
