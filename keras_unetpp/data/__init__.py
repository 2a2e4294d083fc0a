"""Images, masks and folders of them: read, described, converted, cut into crops."""
