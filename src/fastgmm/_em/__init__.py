"""How a mixture is fitted: one iteration, the loop around it, acceleration, streams, checkpoints."""
