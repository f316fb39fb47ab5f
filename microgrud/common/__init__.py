"""The lowest package, which every other may import: numbers, argument checks, words, files, locks and the display hook.

Read `numbers.py` first; the other files are independent of one another, except that `jsonfile.py` builds on `files.py`.
"""
