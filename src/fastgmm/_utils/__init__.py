"""What every folder uses: threads, BLAS, aligned memory, errors, warnings and parts of messages."""
