"""What every part needs: texts of errors, tables, progress, optional packages, JSON, downloads, the machine."""
