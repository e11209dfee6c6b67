"""What every part shares: errors, files, images, geometry, command lines, workers, pictures."""
