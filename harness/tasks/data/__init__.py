"""Tasks made of a user's own data: records, how they are asked, and how answers are scored."""
