// The page's side of the worker: requests and answers, progress, and a new worker after Stop or after a crash.

const place = (path) => new URL(path, import.meta.url);

export async function listed() {
  return (await fetch(place("files.json"))).json();
}

// Fetch the files of Python and Graphviz, and count what arrives.
async function fetched(onProgress) {
  const { sizes } = await listed(), total = Object.values(sizes).reduce((a, b) => a + b, 0);
  const words = "Loading Python and Graphviz";
  let done = 0;
  onProgress({ progress: 0, words });
  const counted = () => new TransformStream({
    transform(chunk, out) {
      done += chunk.byteLength;
      onProgress({ progress: done / total, words });
      out.enqueue(chunk);
    },
  });
  return Promise.all(Object.keys(sizes).map(async (path) => {
    const response = await fetch(place(path));
    if (!response.ok) { throw new Error(`${path}: ${response.status} ${response.statusText}`); }
    return [path, await new Response(response.body.pipeThrough(counted())).blob()];
  }));
}

export class Python {
  constructor(onProgress) {
    this.onProgress = onProgress;
    this.onRestart = () => {};
    this.waiting = new Map();
    this.number = 0;
    this.files = null;
    this.worker = null; // a promise
    this.isReady = false;
  }

  start() {
    this.isReady = false;
    this.files ??= fetched(this.onProgress).then(Object.fromEntries);
    this.worker = this.files.then(async (files) => {
      // The origin of a worker from a data: address is opaque, so that no program can read what the site stores; and
      // the worker takes over the page's policy, so that no program can ask another server.
      const source = `data:text/javascript,${encodeURIComponent(await files["worker.js"].text())}`;
      const worker = new Worker(source, { type: "module" });
      worker.onmessage = ({ data }) => this.receive(data);
      worker.onerror = (event) => this.fail(event.message || "the worker could not be started");
      worker.postMessage({ files });
      return worker;
    });
    this.worker.catch((error) => {
      this.files = this.worker = null; // the next run tries again
      this.fail(error.message);
    });
  }

  fail(reason) {
    this.onProgress({ failed: reason });
    this.end(`Python could not be loaded: ${reason}.`);
  }

  receive(data) {
    if (data.failed) { this.fail(data.failed); return; }
    if (data.ready) { this.isReady = true; }
    if (!("id" in data)) { this.onProgress(data); return; }
    const settle = this.waiting.get(data.id);
    this.waiting.delete(data.id);
    if (!settle) { return; } // an answer that no one asked for
    if ("fatal" in data) { this.restart(`Python ended: ${data.fatal}.`, settle); return; }
    if ("error" in data) { settle.reject(new Error(data.error)); } else { settle.resolve(data.answer); }
  }

  // Ask the worker to call a function; the promise is rejected if the worker is ended before it answers.
  ask(name, request) {
    if (!this.worker) { this.start(); }
    this.number += 1;
    const id = this.number;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.then((worker) => worker.postMessage({ id, name, request }), () => {});
    });
  }

  end(reason) {
    const ended = [...this.waiting.values()];
    this.waiting.clear();
    ended.forEach((settle) => settle.reject(new Error(reason)));
  }

  restart(reason, first) {
    this.worker.then((worker) => worker.terminate(), () => {});
    const words = `${reason} Python starts anew.`;
    if (first) { first.reject(new Error(words)); }
    this.end(words);
    this.start();
    this.onRestart();
  }
}
