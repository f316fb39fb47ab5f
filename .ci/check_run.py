"""Check that a run folder is whole and its model good enough: `check_run.py FOLDER LEAST_ACCURACY`."""

import json
import sys
from pathlib import Path

folder, least = Path(sys.argv[1]), float(sys.argv[2])
pictures = ("loss", "confusion", "regions", "surface", "flow", "network")
for name in ("model.json", "history.csv", "predictions.csv", "report.html", *(f"{name}.svg" for name in pictures)):
    if not (folder / name).stat().st_size:
        sys.exit(f"{folder / name} is empty")
accuracy = json.loads((folder / "model.json").read_text())["details"]["scores"]["accuracy"]
print(f"accuracy on held-out rows: {accuracy:.3f}, at least {least} wanted")
sys.exit(accuracy < least)
