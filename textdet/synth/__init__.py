"""The parts of one synthetic image, a module each; generate_utils.py puts them together."""
