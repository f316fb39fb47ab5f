"""Tables: from files to the inputs of a network."""
