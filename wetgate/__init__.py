"""The job: what was asked, decided, made and kept. Usable without any scheduler."""

__version__ = "0.1.0"
