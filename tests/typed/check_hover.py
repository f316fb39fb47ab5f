"""Ask basedpyright, as an editor does, for the text that it shows at names of a program: signature and docstring.

`make types` runs it.
"""

from __future__ import annotations

import importlib
import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).resolve().parent / "typed_program.py"
ROOT = PROGRAM.parent.parent.parent
#: For a text in the program: the object that the text ends with, and a part of the signature that is shown.
SHOWN = {
    "mg.exp": ("microgrud:exp", "def exp(x: Elementwise@exp) -> Elementwise@exp"),
    "mg.maximum": ("microgrud:maximum", "maximum: Binary"),
    "mg.logsumexp": ("microgrud:logsumexp", "logsumexp: Reduction"),
    "mg.dot": ("microgrud:dot", "def dot("),
    "= cross_entropy": ("microgrud.losses:cross_entropy", "cross_entropy: Loss["),
    "@compile": ("microgrud:compile", "CompilesBatches"),
    "once = grad": ("microgrud:grad", "Gradient[P@grad, R@grad]"),
    "= hessian": ("microgrud:hessian", "hessian: JacobianTransform"),
    "parabola.value_and_grad": ("microgrud.tape:Compiled.value_and_grad", "tuple[float, float]"),
    "loss.backward": ("microgrud.tape:Compiled.backward", "float"),
    "= MLP": ("microgrud.nn:MLP", "class MLP"),
    "= fit": ("microgrud.train:fit", "-> History"),
}


class Editor:
    """A connection with the language server, by JSON-RPC over its standard input and output."""

    def __init__(self) -> None:
        command = [sys.executable, "-c", "from basedpyright import langserver; langserver.main()", "--stdio"]
        self.server = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.calls = 0
        folders = [{"uri": ROOT.as_uri(), "name": "root"}]
        self.call("initialize", capabilities={"workspace": {"configuration": True}}, workspaceFolders=folders)
        self.send("initialized", params={})

    def send(self, method: str = "", **message: Any) -> None:
        """Send a message; without a method it is the answer to a request of the server."""
        named = {"method": method} if method else {}
        body = json.dumps({"jsonrpc": "2.0", **named, **message}).encode()
        assert self.server.stdin is not None
        self.server.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.server.stdin.flush()

    def receive(self) -> dict[str, Any]:
        """Return the next message of the server."""
        assert self.server.stdout is not None
        length = 0
        while line := self.server.stdout.readline().strip():
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        message: dict[str, Any] = json.loads(self.server.stdout.read(length))
        return message

    def call(self, method: str, **params: Any) -> Any:
        """Send a request and return its result; answer what the server asks in the meantime."""
        self.calls += 1
        self.send(method, id=self.calls, params=params)
        while True:
            message = self.receive()
            if "method" not in message and message["id"] == self.calls:
                return message.get("result")
            if "method" in message and "id" in message:
                items = message.get("params", {}).get("items", [])
                self.send(id=message["id"], result=[{"pythonPath": sys.executable} for _ in items])


def documentation(name: str) -> str:
    """Return the first line of a docstring."""
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return (inspect.getdoc(found) or "").partition("\n")[0].split("`")[0]


def main() -> None:
    """Compare the texts with signatures and docstrings; exit with an error if something is missing."""
    text = PROGRAM.read_text(encoding="utf-8")
    editor = Editor()
    document = {"uri": PROGRAM.as_uri(), "languageId": "python", "version": 1, "text": text}
    editor.send("textDocument/didOpen", params={"textDocument": document})
    problems = []
    for place, (name, signature) in SHOWN.items():
        before = text[: text.index(place) + len(place)]
        position = {"line": before.count("\n"), "character": len(before) - before.rfind("\n") - 2}
        hover = editor.call("textDocument/hover", textDocument={"uri": PROGRAM.as_uri()}, position=position)
        shown = hover["contents"]["value"] if hover else ""
        wanted = documentation(name)
        if (
            not wanted
            or signature not in shown
            or wanted.replace("*", "") not in shown.replace("\\", "").replace("*", "")
        ):
            problems.append(f"{place}: expected {signature!r} and {wanted!r}, got {shown!r}")
    editor.server.kill()
    editor.server.wait()
    print(f"hover: {len(SHOWN) - len(problems)} of {len(SHOWN)} names show their signature and their docstring")
    if problems:
        raise SystemExit("\n".join(problems))


if __name__ == "__main__":
    main()
