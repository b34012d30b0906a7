"""Flicker: exposure that changes from frame to frame without the scene asking for it."""
