"""The ground floor: numbers, argument checks, files, locks and the display hook, which every other package may use."""
