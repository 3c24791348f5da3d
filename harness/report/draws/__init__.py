"""What several completions of a sample say together: votes, ranks, lengths, as tables and plots."""
