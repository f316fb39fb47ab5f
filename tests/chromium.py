"""A headless Chromium, a server of files on loopback, and a list of everything that pages ask other servers for."""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
#: The built site: of `make docs`, or of a folder that MICROGRUD_SITE names.
SITE = Path(os.environ.get("MICROGRUD_SITE") or ROOT / "build" / "site").resolve()
#: Services that Chromium itself asks, such as Debian's search engine; no page does.
OWN = ("google.com", "googleapis.com", "gvt1.com", "gstatic.com", "duckduckgo.com")


class _Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:
        pass


def needs(file: str) -> pytest.MarkDecorator:
    """Skip tests of the site where it lacks a file, or is older than what it was built from."""
    built = SITE / file
    if not built.exists():
        return pytest.mark.skipif(True, reason=f"needs the site with {file}: make docs")
    folders = ROOT / "docs" / "playground", ROOT / "docs" / "site", ROOT / "microgrud"
    sources = [x for folder in folders for x in folder.rglob("*.*") if x.suffix in {".py", ".html", ".css", ".js"}]
    is_old = "MICROGRUD_SITE" not in os.environ and built.stat().st_mtime < max(x.stat().st_mtime for x in sources)
    return pytest.mark.skipif(is_old, reason="the site is older than its sources: make docs")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve the files of a folder on loopback; yield the address."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Files, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def proxy(asked: list[str]) -> Iterator[str]:
    """Run a proxy that refuses every request, and notes in `asked` for what."""

    class Refusing(_Files):
        def refuse(self) -> None:
            host = self.path.removeprefix("http://").split("/")[0].split(":")[0]
            if not host.endswith(OWN):
                asked.append(self.path)
            with contextlib.suppress(OSError):  # Chromium does not always wait for the answer
                self.send_error(403)

        do_GET = do_POST = do_HEAD = do_CONNECT = refuse  # noqa: N815

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@contextmanager
def chromium(profile: Path, width: int = 1280, height: int = 900, proxy: str | None = None) -> Iterator[Any]:
    """Start a headless Chromium with a new profile; skip the test where there is none."""
    program, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("needs Chromium and its driver (on Debian: apt-get install chromium chromium-driver)")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = program
    flags = "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking disable-sync"
    flags += f" disable-component-update window-size={width},{height} user-data-dir={profile}"
    for flag in [*flags.split(), *([f"proxy-server={proxy}"] if proxy else [])]:
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(driver)) as browser:
        browser.set_script_timeout(60)
        yield browser
