"""The one room for names that other packages do not promise: one module a package, each name with where it was seen.

Nothing outside uses such a name (`tests/compat/test_rooms.py` reads every file). A package that drops or renames one is
told by `PrivateName`, here in its test and, on another version, to who runs it.
"""
