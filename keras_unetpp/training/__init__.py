"""Training: data sets of image/mask folders, augmentation, losses, metrics and the fit loop."""
