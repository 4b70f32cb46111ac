"""A tab that nothing but a few commands touches, as a reader's own: for measuring its memory.

A tab that Playwright drives keeps the bodies of its last hundred megabytes of answers, in case somebody asks for them
(`Network.enable` of the Chrome DevTools Protocol); a reader's tab does not, and measured that way it looks half as
large again as it is.
"""

import json
import re
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
from websockets.sync.client import ClientConnection, connect

from bench.chromium import FLAGS, SCREEN, need_chromium
from bench.server import MEGABYTE

PATIENCE_SECONDS = 60
KEYS = {"ArrowRight": 39}  # the codes of Windows, which the protocol wants


class PlainTab:
    """One tab, driven by `Runtime`, `Page` and `Input` alone."""

    def __init__(self, socket: ClientConnection, browser: psutil.Process) -> None:
        self.socket = socket
        self.browser = browser
        self.sent = 0

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        self.sent += 1
        self.socket.send(json.dumps({"id": self.sent, "method": method, "params": parameters}))
        while True:
            told = json.loads(self.socket.recv(PATIENCE_SECONDS))
            if told.get("id") == self.sent:
                break
        if "error" in told:
            raise RuntimeError(f"{method}: {told['error']['message']}")
        answer: dict[str, Any] = told["result"]
        return answer

    def goto(self, address: str) -> None:
        self.send("Page.navigate", url=address)

    def evaluate(self, script: str) -> Any:
        """What a script comes to, once its promise is kept."""
        told = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in told:
            raise RuntimeError(f"{script}: {told['result'].get('description')}")
        return told["result"].get("value")

    def press(self, code: str) -> None:
        for kind in ("rawKeyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, code=code, key=code, windowsVirtualKeyCode=KEYS[code])

    def megabytes(self) -> float:
        """Resident memory of the page's process, the browser's own code (some 140 MB) included."""
        pages = (child for child in self.browser.children(recursive=True) if "--type=renderer" in child.cmdline())
        return max(float(page.memory_info().rss) for page in pages) / MEGABYTE


@contextmanager
def plain_tab(*scripts: str) -> Iterator[PlainTab]:
    """A browser with one empty tab, in which each script runs before a page's own."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        words = [need_chromium(), "--headless=new", "--remote-debugging-port=0", f"--user-data-dir={profile}", *FLAGS]
        process = subprocess.Popen(
            [*words, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        try:
            with connect(_address_of_tab(process), max_size=None) as socket:
                tab = PlainTab(socket, psutil.Process(process.pid))
                tab.send("Page.enable")
                screen = dict(zip(("width", "height"), SCREEN, strict=True))
                tab.send("Emulation.setDeviceMetricsOverride", **screen, deviceScaleFactor=1, mobile=False)
                for script in scripts:
                    tab.send("Page.addScriptToEvaluateOnNewDocument", source=script)
                yield tab
        finally:
            process.terminate()
            process.wait()


def _address_of_tab(process: "subprocess.Popen[str]") -> str:
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"ws://(127\.0\.0\.1:\d+)/", line):
            with urllib.request.urlopen(f"http://{found[1]}/json") as answer:
                tabs = json.load(answer)
            return str(next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page"))
    raise SystemExit("Chromium ended before it opened a tab.")
