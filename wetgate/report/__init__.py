"""The restoration report: one page for people, one JSON file for machines."""
