"""TIFF, EXR, PNG and JPEG 2000 frames: checked, read exactly, written with all they carried."""
