// Python and Graphviz, in a worker: the page stays responsive, and can end a program that does not end by itself.

const sizes = {};
const sayProgress = { done: 0, total: 0 };

function report(words) {
  postMessage({ progress: sayProgress.total ? Math.min(1, sayProgress.done / sayProgress.total) : 0, words });
}

// Pyodide fetches its files itself: count what passes.
const plainFetch = self.fetch.bind(self);
self.fetch = async (...request) => {
  const response = await plainFetch(...request);
  const name = new URL(response.url || self.location.href).pathname;
  if (!response.ok || !response.body || !Object.keys(sizes).some((path) => name.endsWith(`/${path}`))) { return response; }
  const counting = new TransformStream({
    transform(chunk, out) {
      sayProgress.done += chunk.byteLength;
      report("Loading Python and Graphviz");
      out.enqueue(chunk);
    },
  });
  const { status, statusText, headers } = response;
  return new Response(response.body.pipeThrough(counting), { status, statusText, headers });
};

async function load() {
  const files = await (await plainFetch("files.json")).json();
  Object.assign(sizes, files.sizes);
  sayProgress.total = Object.values(sizes).reduce((a, b) => a + b, 0);
  report("Loading Python and Graphviz");
  const imported = async (path) => {
    const module = await import(`./${path}`);
    sayProgress.done += sizes[path];
    return module;
  };
  const bytes = async (path) => new Uint8Array(await (await self.fetch(path)).arrayBuffer());
  const [python, viz, wheels, ours] = await Promise.all([
    imported("pyodide/pyodide.mjs").then((module) => module.loadPyodide({ indexURL: new URL("pyodide/", self.location.href).href })),
    imported("viz/viz.js").then((module) => module.instance()),
    Promise.all(files.wheels.map(bytes)),
    Promise.all(["programs.py", "training.py"].map(bytes)),
  ]);
  report("Starting Python");
  const site = python.runPython("import sysconfig; sysconfig.get_path('purelib')");
  wheels.forEach((wheel) => python.unpackArchive(wheel, "wheel", { extractDir: site }));
  ["programs.py", "training.py"].forEach((name, k) => python.FS.writeFile(`${site}/${name}`, ours[k]));
  report("Loading microgrud");
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
ready.then(() => postMessage({ ready: true }), (error) => postMessage({ failed: String(error) }));

self.onmessage = async ({ data: { id, name, request } }) => {
  try {
    const answer = (await ready)[name](JSON.stringify(request));
    postMessage({ id, answer: JSON.parse(answer) });
  } catch (error) {
    // An error of Python leaves it running; any other has ended it, such as an overflow of the stack.
    const last = String(error.message || error).trim().split("\n").pop();
    postMessage({ id, [error.name === "PythonError" ? "error" : "fatal"]: last });
  }
};
