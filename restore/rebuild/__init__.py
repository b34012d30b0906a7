"""Frames that the scan lacks, made from the pictures on both sides."""
