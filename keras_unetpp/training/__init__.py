"""Training: recipe, losses, metrics, the fit loop, runs in folders, scores."""
