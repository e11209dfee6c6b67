"""Train and use a text detector: the parts behind the scripts."""
