// Python and Graphviz, in a worker: the page stays responsive, and can end a program that does not end by itself.
// It has an opaque origin, from which it can fetch nothing: the page gives it all files.

let give;
const given = new Promise((resolve) => { give = resolve; });

async function load() {
  if (self.origin !== "null") { // a program could read and change what the site stores
    throw new Error("this browser does not separate a worker from the page; take a newer browser");
  }
  const files = await given, folder = "https://files.invalid/pyodide/"; // Pyodide asks for an address
  const typed = (path, type) => new Blob([files[path]], { type });
  const imported = (path) => import(URL.createObjectURL(typed(path, "text/javascript")));
  const bytes = async (path) => new Uint8Array(await files[path].arrayBuffer());
  const [{ loadPyodide }, asm, { instance }] = await Promise.all(
    ["pyodide/pyodide.mjs", "pyodide/pyodide.asm.mjs", "viz/viz.js"].map(imported),
  );
  self.fetch = async (address) => {
    const path = String(address).replace(folder, "pyodide/");
    if (!(path in files)) { throw new TypeError("programs in this page have no network"); }
    return new Response(typed(path, path.endsWith(".wasm") ? "application/wasm" : ""));
  };
  postMessage({ progress: 1, words: "Starting Python" });
  const [python, viz] = await Promise.all([
    loadPyodide({ indexURL: folder, createPyodideModule: asm.default }), instance(),
  ]);
  postMessage({ progress: 1, words: "Loading microgrud" });
  const site = python.runPython("import sysconfig; sysconfig.get_path('purelib')");
  for (const path of Object.keys(files)) {
    if (path.endsWith(".whl")) { python.unpackArchive(await bytes(path), "wheel", { extractDir: site }); }
    if (path.endsWith(".py")) { python.FS.writeFile(`${site}/${path}`, await bytes(path)); }
  }
  python.globals.set("render", (source) => viz.renderString(source, { format: "svg" }));
  python.runPython(`
import importlib
importlib.invalidate_caches()
import microgrud.draw
microgrud.draw.use_renderer(render)
import programs, training
`);
  const call = (name) => python.runPython(name);
  return { run: call("programs.run"), train: call("training.handle") };
}

const ready = load();
ready.then(() => postMessage({ ready: true }), (error) => postMessage({ failed: String(error.message || error) }));

self.onmessage = async ({ data: { files, id, name, request } }) => {
  if (files) { give(files); return; }
  try {
    const answer = (await ready)[name](JSON.stringify(request));
    postMessage({ id, answer: JSON.parse(answer) });
  } catch (error) {
    // An error of Python leaves it running; any other has ended it, such as an overflow of the stack.
    const last = String(error.message || error).trim().split("\n").pop();
    postMessage({ id, [error.name === "PythonError" ? "error" : "fatal"]: last });
  }
};
