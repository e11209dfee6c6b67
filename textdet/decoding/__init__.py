"""From heatmaps to words: settings, decoders, metrics, reading order."""
