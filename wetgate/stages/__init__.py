"""The stages of a job, in the order they run. Plain functions; the only readers and writers."""
