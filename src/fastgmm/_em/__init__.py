"""EM: one iteration, the loop, acceleration, streams, checkpoints."""
