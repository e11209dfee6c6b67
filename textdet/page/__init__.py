"""The page of app.py: detect, tune by hand, generate and browse in a web browser."""
