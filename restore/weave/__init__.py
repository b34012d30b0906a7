"""Gate weave: the picture as a whole jumping in the gate, a few pixels, frame by frame."""
