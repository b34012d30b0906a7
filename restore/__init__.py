"""The repairs: one folder per defect, split into measure, solve and apply as each needs."""
