"""Shot-to-shot color: measure, link, solve one ASC CDL per shot, write it, apply it."""
