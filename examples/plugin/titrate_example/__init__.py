"""One of each that Titrate can be given: an intervention, a rule, a task, a measure, an export."""
