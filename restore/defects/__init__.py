"""Infra-red planes and other maps of defects: placed on the picture, cleaned of it, made masks."""
