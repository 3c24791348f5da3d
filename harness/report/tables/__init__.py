"""What a terminal shows of a report."""
