"""When and where: the only package that knows Prefect. No pixels, no arithmetic."""
