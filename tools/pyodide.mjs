// Run a Python program in Pyodide, Python as WebAssembly, under Node; the options are those of Python:
//
//   node tools/pyodide.mjs PYODIDE (-m MODULE | -c PROGRAM | FILE) ARGUMENTS...
//
// PYODIDE is the folder of the npm package, as `npm pack pyodide` and `tar` give it. The working directory and the
// folders of PYTHONPATH are imported from, so that `-m pytest tests/test_engine.py` works with pure-Python packages.
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, ...given] = process.argv.slice(2);
if (!given[0].startsWith("-")) given[0] = `/host${resolve(given[0])}`;
const { loadPyodide } = await import(pathToFileURL(resolve(folder, "pyodide.mjs")));
const python = await loadPyodide({ env: { ...process.env, HOME: "/home/pyodide" } });
python.mountNodeFS("/host", "/");
python.globals.set("given", python.toPy(given));
python.globals.set("folder", process.cwd());
process.exitCode = python.runPython(`
import os, runpy, sys, traceback
folders = [folder, *os.environ.get("PYTHONPATH", "").split(":")]
sys.path[:0] = [f"/host{os.path.abspath(path)}" for path in folders if path]
os.chdir(f"/host{folder}")
kind = given.pop(0) if given[0] in ("-m", "-c") else ""
sys.argv = ["-c" if kind == "-c" else given[0], *given[1:]]
code = 0
try:
    if kind == "-c":
        exec(given[0], {"__name__": "__main__"})
    elif kind == "-m":
        runpy.run_module(given[0], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(given[0], run_name="__main__")
except SystemExit as end:
    code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
except BaseException:
    traceback.print_exc()
    code = 1
code
`);
