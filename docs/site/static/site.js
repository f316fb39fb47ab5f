// Tells the style sheet whether a server runs: a page that was opened as a file says how to start one.
document.documentElement.classList.add(location.protocol === "file:" ? "from-file" : "from-server");
