"""The engine in C, which is optional: `microgrud.engine.native` loads it where it was built."""
