"""Training frameworks that log by themselves; whatever fails here never reaches the training."""
