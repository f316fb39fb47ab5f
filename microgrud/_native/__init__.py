"""The engine in C, which is optional: `microgrud.native` loads it where it was built."""
