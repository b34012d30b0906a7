"""Where one shot ends and the next begins, what lies between, and lists of it."""
