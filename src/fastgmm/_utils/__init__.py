"""What all folders use: threads, BLAS, memory, messages."""
