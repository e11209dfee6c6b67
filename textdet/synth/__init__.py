"""The parts of one synthetic image, a module each; scene.py puts them together."""
