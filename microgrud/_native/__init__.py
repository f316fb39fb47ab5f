"""The C engine, which is optional: `microgrud.engine.native` loads it where it was built."""
