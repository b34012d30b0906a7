"""A larger picture from the same evidence."""
