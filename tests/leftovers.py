"""What commands that were ended, or met a full disk, may not leave behind."""


def temporary(folder):
    """Names of hidden files and folders in a folder, however deep."""
    return [path.name for path in folder.rglob(".*")]
