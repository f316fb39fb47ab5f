"""Build JupyterLite, in which notebooks open in the browser, beside the playground, whose Python it runs.

    python docs/playground/lite.py SITE

writes the folder SITE/lite; SITE/playground must be there. Needs jupyterlite-core, jupyterlite-pyodide-kernel and
jupyter-server (`pip install --group lite`), and pip, which fetches the pure-Python packages that the kernel needs. The
built folder asks no other server: each package has its place in a lock file of Pyodide that names local files only.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DOWNLOADS = ROOT / "build" / "lite"
EXTENSION = "share/jupyter/labextensions/@jupyterlite/pyodide-kernel-extension/static/pypi"
#: The packages that the kernel imports; its own packages come with the extension.
PACKAGES = ["ipython==9.12.0", "comm==0.2.3", "micropip==0.11.1"]
OWN = ["ipykernel", "piplite", "pyodide_kernel"]
SETTINGS = "@jupyterlite/pyodide-kernel-extension:kernel"
NOTEBOOKS = "123"
#: The first cell of each notebook: Graphviz as WebAssembly draws its graphs.
RENDERER = """\
# Run this cell once; there is nothing to install here. (Graphviz runs as WebAssembly, too.)
import js, pyodide.code, pyodide.ffi
import microgrud.draw

site = str(js.location.href).rpartition("/lite/extensions/")[0]
viz = await (await pyodide.code.run_js("url => import(url)")(site + "/playground/viz/viz.js")).instance()
svg = pyodide.ffi.to_js({"format": "svg"}, dict_converter=js.Object.fromEntries)
microgrud.draw.use_renderer(lambda source: viz.renderString(source, svg))"""


def main() -> None:
    """Build JupyterLite into the folder of a site."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("site", type=Path, help="the folder of the site; it holds the playground already")
    parser.add_argument("--notebooks", type=Path, default=ROOT / "notebooks", help="the folder of the notebooks")
    asked = parser.parse_args()
    playground, out = asked.site / "playground", asked.site / "lite"
    if not (playground / "pyodide").exists():
        sys.exit(f"{playground} is not there: first run docs/playground/build.py {asked.site}")
    if importlib.util.find_spec("jupyterlite_core") is None:
        sys.exit("JupyterLite needs packages that are not installed; install them with: pip install --group lite")
    shutil.rmtree(out, ignore_errors=True)
    with tempfile.TemporaryDirectory() as work:
        _write_contents(asked.notebooks, Path(work))
        _build(Path(work), out)
    for path in out.rglob("*.map"):  # for those who debug JupyterLite itself
        path.unlink()
    names = _write_packages(out / "packages", playground)
    _configure(out, names)
    _write_notice(out)
    files = [path for path in out.rglob("*") if path.is_file()]
    print(f"{sum(path.stat().st_size for path in files) / 1e6:.1f} MB in {len(files)} files  {out}")


def _write_contents(notebooks: Path, work: Path) -> None:
    """Copy the notebooks without outputs and with the renderer, and the modules beside them."""
    folder = work / "contents"
    folder.mkdir()
    for path in sorted(notebooks.iterdir()):
        if path.suffix == ".py":
            shutil.copy(path, folder)
        elif path.suffix == ".ipynb" and path.name[0] in NOTEBOOKS:
            notebook = json.loads(path.read_text(encoding="utf-8"))
            notebook["metadata"]["kernelspec"] = {
                "name": "python",
                "display_name": "Python (Pyodide)",
                "language": "python",
            }
            for cell in notebook["cells"]:
                if cell["cell_type"] == "code":
                    cell["outputs"], cell["execution_count"] = [], None
            first = {"cell_type": "code", "id": "renderer", "metadata": {}, "source": RENDERER}
            notebook["cells"].insert(0, first | {"outputs": [], "execution_count": None})
            (folder / path.name).write_text(json.dumps(notebook), encoding="utf-8")


def _build(work: Path, out: Path) -> None:
    command = [sys.executable, "-m", "jupyterlite_core.app", "build", "--contents", "contents"]
    command += [
        "--no-unused-shared-packages",
        "--apps",
        "notebooks",
        "--apps",
        "tree",
        "--output-dir",
        str(out.resolve()),
    ]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def _write_packages(folder: Path, playground: Path) -> list[str]:
    """Write the wheels that the kernel needs, and a lock file that names them; return their names."""
    folder.mkdir()
    if not all(list(DOWNLOADS.glob(each.replace("==", "-") + "-*.whl")) for each in PACKAGES):
        shutil.rmtree(DOWNLOADS, ignore_errors=True)  # no older versions beside new ones
        DOWNLOADS.mkdir(parents=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(DOWNLOADS), *PACKAGES]
        command += ["--only-binary=:all:", "--python-version=3.14", "--implementation=py"]
        command += ["--abi=none", "--platform=any"]
        subprocess.run(command, check=True)
    kernel = [path for name in OWN for path in (Path(sys.prefix) / EXTENSION).glob(f"{name}-*.whl")]
    wheels = [*DOWNLOADS.glob("*.whl"), *kernel, *(playground / "wheels").glob("*.whl")]
    packages = {}
    for wheel in sorted(wheels):
        shutil.copy(wheel, folder)
        about = _locked(wheel)
        packages[about["name"]] = about
    for about in packages.values():
        about["depends"] = [name for name in about["depends"] if name in packages]
    lock = json.loads((playground / "pyodide" / "pyodide-lock.json").read_text(encoding="utf-8"))
    (folder / "pyodide-lock.json").write_text(json.dumps(lock | {"packages": packages}), encoding="utf-8")
    return sorted(packages)


def _locked(wheel: Path) -> dict[str, Any]:
    """Return the entry of a wheel in a lock file of Pyodide."""
    with zipfile.ZipFile(wheel) as packed:
        (metadata,) = (name for name in packed.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
        about = HeaderParser().parsestr(packed.read(metadata).decode())
    needs = [need for need in about.get_all("Requires-Dist", []) if "extra ==" not in need]
    return {
        "name": _normal(about["Name"]),
        "version": about["Version"],
        "file_name": wheel.name,
        "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
        "depends": [_normal(re.match(r"[\w.-]+", need).group()) for need in needs],  # type: ignore[union-attr]
        "imports": [],
        "install_dir": "site",
        "package_type": "package",
        "unvendored_tests": False,
    }


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _configure(out: Path, names: list[str]) -> None:
    """Let the kernel load the Python of the playground, and all packages from the lock file."""
    for path in [out / "jupyter-lite.json", *out.glob("*/jupyter-lite.json")]:
        found = json.loads(path.read_text(encoding="utf-8"))
        plugins = found["jupyter-config-data"].setdefault("litePluginSettings", {})
        settings = plugins.setdefault(SETTINGS, {})
        settings["pyodideUrl"] = "../../playground/pyodide/pyodide.mjs"
        settings["disablePyPIFallback"] = True
        settings["loadPyodideOptions"] = {"lockFileURL": "../../lite/packages/pyodide-lock.json", "packages": names}
        path.write_text(json.dumps(found, indent=1), encoding="utf-8")


def _write_notice(out: Path) -> None:
    """Write the licences of all that the folder holds, from the distributions and lists that it was made of."""
    lines = [
        "This folder holds JupyterLite. Python is that of ../playground, whose LICENCES.txt names its licences.",
        "",
    ]
    lines += ["Each wheel in packages/ contains its own licence, as its metadata say:", ""]
    for wheel in sorted((out / "packages").glob("*.whl")):
        lines.append(f"{wheel.name}: {', '.join(_licences(wheel))}")
    lines += ["", "The scripts contain packages from npm, whose licences these files list with their texts:", ""]
    for path in sorted(out.rglob("third-party-licenses.json")):
        packages = json.loads(path.read_text(encoding="utf-8"))["packages"]
        bare = [f"{each['name']} {each['versionInfo']} ({each['licenseId']})" for each in packages]
        bare = [words for words, each in zip(bare, packages, strict=True) if not each["extractedText"]]
        lines.append(f"{path.relative_to(out)}: {len(packages)} packages")
        lines += [f"  without a text: {', '.join(bare)}"] if bare else []
    for found in _distributions(out):
        lines += ["", "-" * 100, f"{found.metadata['Name']} {found.version}", ""]
        texts = [file for file in found.files or [] if re.search(r"dist-info/(licenses/)?LICEN[CS]E", str(file))]
        if not texts:
            sys.exit(f"{found.metadata['Name']} {found.version}: expected a file LICENSE in the distribution, got none")
        lines += [file.read_text() for file in texts]
    (out / "LICENCES.txt").write_text("\n".join(lines), encoding="utf-8")


def _licences(wheel: Path) -> list[str]:
    """Return the names of the licence files of a wheel; end the build if it has none."""
    with zipfile.ZipFile(wheel) as packed:
        names = [name for name in packed.namelist() if re.search(r"\.dist-info/(licenses/)?(LICEN[CS]E|COPYING)", name)]
    if not names:
        sys.exit(f"{wheel.name}: expected a wheel that contains its licence, got none in {wheel}")
    return names


def _distributions(out: Path) -> list[importlib.metadata.Distribution]:
    """Return the distributions of JupyterLite and of the extensions in a folder."""
    extensions = [path.parent.relative_to(out / "extensions") for path in out.glob("extensions/**/package.json")]
    places = [f"share/jupyter/labextensions/{name.as_posix()}/package.json" for name in extensions]
    installed = [
        x for x in importlib.metadata.distributions() if any(str(f).endswith(tuple(places)) for f in x.files or [])
    ]
    if len(installed) != len(places):
        sys.exit(f"extensions: expected the distribution of each of {places}, got {installed}")
    return [importlib.metadata.distribution("jupyterlite-core"), *installed]


if __name__ == "__main__":
    main()
