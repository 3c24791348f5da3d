"""When a model asks: a file for each trigger that ships."""
