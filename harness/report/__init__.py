"""A report as data, as files, as tables, figures and a page."""
