"""Noise and grain taken down along the motion."""
