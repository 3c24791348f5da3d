"""What stays on disk between runs: completions, verdicts, records of cases, measured vectors."""
