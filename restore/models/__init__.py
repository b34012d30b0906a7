"""Learned models: card first, then weights by digest, never code."""
