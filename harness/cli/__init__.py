"""The command line `titrate`: one file per verb."""
