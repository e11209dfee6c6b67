"""The Gaussian that labels a character: data/heatmaps.py draws it, the decoders read it back."""

GAUSSIAN_ENLARGE = 1.5  # a character's patch is its cell enlarged this much about its centre
GAUSSIAN_SIGMA = 0.2  # of the patch's side (CRAFT's trainer: sigma 40 in a patch of 200)
CELL_EDGE = 0.5 / GAUSSIAN_ENLARGE / GAUSSIAN_SIGMA  # sigmas from a cell's centre to its edge
