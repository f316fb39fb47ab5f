"""The second suite: recorded functions, and other tools that compile or differentiate whole programs."""
