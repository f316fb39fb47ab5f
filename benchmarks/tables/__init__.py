"""Real tables: the command line of microgrud against scikit-learn, on the same held-out rows."""
