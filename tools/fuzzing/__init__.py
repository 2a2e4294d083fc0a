"""What `tools/fuzz_files.py` is made of: kinds of files, how they are changed, and tries in limited processes."""
