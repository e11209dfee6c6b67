"""What tune.py is made of: maps, scores, the study, plots."""
