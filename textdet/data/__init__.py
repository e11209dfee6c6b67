"""Data sets: annotations, triplet folders, formats of others, heatmaps, splits, cache."""
