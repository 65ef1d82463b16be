"""EM: iteration, loop, acceleration, streams, checkpoints."""
