// The page's side of the worker: requests and answers, progress, and a new worker after Stop or after a crash.

export class Python {
  constructor(onProgress) {
    this.onProgress = onProgress;
    this.onRestart = () => {};
    this.waiting = new Map();
    this.number = 0;
    this.worker = null;
    this.isReady = false;
  }

  start() {
    if (this.worker) { return; }
    this.isReady = false;
    this.worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    this.worker.onmessage = ({ data }) => this.receive(data);
    this.worker.onerror = (event) => this.onProgress({ failed: event.message || "the worker could not be loaded" });
  }

  receive(data) {
    if (data.ready) { this.isReady = true; }
    if (!("id" in data)) { this.onProgress(data); return; }
    const settle = this.waiting.get(data.id);
    this.waiting.delete(data.id);
    if ("fatal" in data) { this.restart(`Python ended: ${data.fatal}.`, settle); return; }
    if ("error" in data) { settle.reject(new Error(data.error)); } else { settle.resolve(data.answer); }
  }

  // Ask the worker to call a function; the promise is rejected if the worker is ended before it answers.
  ask(name, request) {
    this.start();
    this.number += 1;
    const id = this.number;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, name, request });
    });
  }

  restart(reason, first) {
    this.worker.terminate();
    this.worker = null;
    const ended = [...(first ? [first] : []), ...this.waiting.values()];
    this.waiting.clear();
    ended.forEach((settle) => settle.reject(new Error(reason)));
    this.start();
    this.onRestart();
  }
}
