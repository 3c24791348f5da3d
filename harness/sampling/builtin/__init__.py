"""The built-in rules: a file each, named like its rule, whose `RULE` is the rule."""
