"""Dirt and sparkle: specks that sit on one frame only."""
