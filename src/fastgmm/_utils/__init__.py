"""What every folder uses: errors, warnings, words of messages, threads, aligned memory."""
