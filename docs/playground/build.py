"""Assemble the playground: our page, Python and Graphviz as WebAssembly, and the wheels that run inside.

    python docs/playground/build.py SITE

writes the folder SITE/playground, which any server of files can serve: `python -m http.server --directory SITE`. If
JupyterLite is installed, lite.py adds the folder SITE/lite, in which notebooks run. Needs npm, which fetches the
packages that package.json pins, and pip. Downloads stay in build/playground.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DOWNLOADS = ROOT / "build" / "playground"
#: The files of each package that the page loads, and its package.json, which names its licence and source.
FILES = {
    "pyodide": [
        *("package.json", "pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip"),
        "pyodide-lock.json",
    ],
    "@viz-js/viz": ["package.json", "dist/viz.js"],
}
OURS = ("*.html", "*.css", "*.js", "programs.py", "training.py")


def main() -> None:
    """Build the playground into the folder of a site."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("site", type=Path, help="the folder of the site; the playground is SITE/playground")
    parser.add_argument("--wheel", type=Path, help="a pure-Python wheel of microgrud [default: built from this clone]")
    asked = parser.parse_args()
    DOWNLOADS.mkdir(parents=True, exist_ok=True)
    out = asked.site / "playground"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for pattern in OURS:
        for path in HERE.glob(pattern):
            shutil.copy(path, out)
    pinned = json.loads((HERE / "package.json").read_text(encoding="utf-8"))
    for name, version in pinned["dependencies"].items():
        _unpack(_npm_package(name, version, pinned["integrity"][name]), FILES[name], out / name.rpartition("/")[2])
    (out / "wheels").mkdir()
    shutil.copy(asked.wheel or _own_wheel(), out / "wheels")
    _write_notice(out)
    _write_sizes(out)
    if importlib.util.find_spec("jupyterlite_core") is None:
        print("JupyterLite is not installed: the site has no notebooks that run; pip install --group lite")
    else:
        subprocess.run([sys.executable, HERE / "lite.py", asked.site], check=True)


def _npm_package(name: str, version: str, integrity: str) -> bytes:
    """Return the archive of a package, from an earlier download if there is one, after checking its checksum."""
    kept = DOWNLOADS / f"{name.replace('@', '').replace('/', '-')}-{version}.tgz"
    if not kept.exists():
        npm = shutil.which("npm")
        if npm is None:
            sys.exit(
                f"the playground needs npm to fetch {name} {version}, and npm is not installed; install it (on Debian "
                "and Ubuntu: sudo apt-get install npm), or build the site without the playground"
            )
        subprocess.run([npm, "pack", "--silent", f"{name}@{version}"], cwd=DOWNLOADS, check=True, stdout=sys.stderr)
    archive = kept.read_bytes()
    found = "sha512-" + base64.b64encode(hashlib.sha512(archive).digest()).decode()
    if found != integrity:
        kept.unlink()
        sys.exit(f"{name} {version}: expected an archive with the checksum {integrity}, got {found}")
    return archive


def _unpack(archive: bytes, names: list[str], folder: Path) -> None:
    folder.mkdir()
    with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
        for name in names:
            content = packed.extractfile(f"package/{name}")
            assert content is not None
            (folder / Path(name).name).write_bytes(content.read())


def _own_wheel() -> Path:
    """Build the wheel of microgrud without its extensions in C."""
    with tempfile.TemporaryDirectory() as work:
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", work, str(ROOT)]
        done = subprocess.run(command, env=os.environ | {"MICROGRUD_PURE": "1"}, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
        (wheel,) = Path(work).glob("*.whl")
        if not wheel.name.endswith("-py3-none-any.whl"):
            sys.exit(f"expected a wheel without extensions in C, got {wheel.name}")
        return Path(shutil.copy(wheel, DOWNLOADS))


def _write_notice(out: Path) -> None:
    """Write the licences of the packages from npm, whose archives name them without their text."""
    lines = ["The folders beside this file hold unchanged files of these packages from npm:", ""]
    for package in sorted(out.glob("*/package.json")):
        about = json.loads(package.read_text(encoding="utf-8"))
        source = about["repository"]["url"].removeprefix("git+").removesuffix(".git")
        lines.append(f"{about['name']} {about['version']}, licence {about['license']}, source {source}")
    lines += ["", "pyodide contains CPython (PSF-2.0); @viz-js/viz contains Graphviz (EPL-1.0) and Expat (MIT)."]
    # Its script names the holder of the copyright; the terms of MIT are those of our own licence.
    holder = re.search(r"Copyright \(c\) .*", (out / "viz" / "viz.js").read_text(encoding="utf-8"))
    terms = (ROOT / "LICENSE").read_text(encoding="utf-8").partition("Permission is")
    if holder is None or not terms[2]:
        sys.exit("expected the holder of the copyright in viz/viz.js, and the terms of MIT in LICENSE")
    lines += ["The wheels contain their own licences.", "", f"@viz-js/viz: {holder[0]}", "", "".join(terms[1:])]
    (out / "LICENCES.txt").write_text("\n".join(lines), encoding="utf-8")


def _write_sizes(out: Path) -> None:
    """Write what the page loads before it is ready, for its progress bar, with its size as it is and compressed."""
    loaded = [path for path in sorted(out.glob("*/*")) if path.name != "package.json"]
    loaded += [out / name for name in ("worker.js", "programs.py", "training.py")]
    sizes = {path.relative_to(out).as_posix(): path.stat().st_size for path in loaded}
    packed = {path: len(gzip.compress(path.read_bytes(), 6)) for path in loaded}
    for path in loaded:
        print(f"{path.stat().st_size / 1e3:9,.0f} kB {packed[path] / 1e3:9,.0f} kB gzipped  {path.relative_to(out)}")
    total = {"megabytes": round(sum(sizes.values()) / 1e6), "compressed": round(sum(packed.values()) / 1e6)}
    (out / "files.json").write_text(json.dumps({**total, "sizes": sizes}, indent=1), encoding="utf-8")
    print(f"the first run loads {total['megabytes']} MB, or {total['compressed']} MB compressed, from {out}")


if __name__ == "__main__":
    main()
