"""A headless Chromium, driven by the Chrome DevTools protocol over two pipes.

Needs the browser and nothing else: no driver program, no port, no client library. Messages are JSON
ended by a zero byte, on the file descriptors 3 (to the browser) and 4 (from it).
(https://chromedevtools.github.io/devtools-protocol, `--remote-debugging-pipe`)
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections import deque
from pathlib import Path
from typing import Any

#: Seconds after which a browser that says nothing is given up.
_PATIENCE = 60.0
_KEYS = {
    "ArrowDown": 40,
    "ArrowLeft": 37,
    "ArrowRight": 39,
    "ArrowUp": 38,
    "End": 35,
    "Enter": 13,
    "Escape": 27,
    "Home": 36,
    "Tab": 9,
}


def program() -> str | None:
    """The browser's path, if one is installed."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)


class Browser:
    """One browser with one page in it. What the page complains about is kept in `complaints`."""

    def __init__(self, profile: Path, *flags: str) -> None:
        """Start it with a profile of its own; a page from disk needs nothing else."""
        executable = program()
        assert executable is not None
        to_browser, self._writing = os.pipe()
        self._reading, from_browser = os.pipe()
        arguments = [
            executable,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--hide-scrollbars",
            "--no-first-run",
            "--remote-debugging-pipe",
            f"--user-data-dir={profile}",
            *flags,
        ]
        # The descriptors must be 3 and 4 in the browser, whatever their numbers are here.
        moved = f'exec "$@" 3<&{to_browser} 4>&{from_browser}'
        self._process = subprocess.Popen(
            ["bash", "-c", moved, "bash", *arguments],
            pass_fds=(to_browser, from_browser),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._received = b""
        self._messages: deque[dict[str, Any]] = deque()
        self._number = 0
        self._session: str | None = None
        self.complaints: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.size(1280, 900)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol; its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._writing, data) :]
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)

    def open(self, file: Path, fragment: str = "") -> None:
        """Load a page from disk and wait until its scripts say that they are done."""
        self.call("Page.navigate", url="about:blank")
        self.complaints.clear()
        self.call("Page.navigate", url=file.absolute().as_uri() + fragment)
        self.wait("document.documentElement?.dataset.ready === 'true'")

    def js(self, expression: str) -> Any:
        """The value of an expression in the page, promises awaited."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait(self, condition: str) -> None:
        """Until an expression of the page is true."""
        deadline = time.monotonic() + _PATIENCE
        while not self.js(f"Boolean({condition})"):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{condition} stayed false; complaints: {self.complaints}")
            time.sleep(0.01)

    def texts(self, selector: str) -> list[str]:
        """The texts of all elements that fit."""
        found: list[str] = self.js(
            f"[...document.querySelectorAll({json.dumps(selector)})].map((e) => e.textContent)"
        )
        return found

    def text(self, selector: str) -> str:
        """The text of the first element that fits."""
        return self.texts(selector)[0]

    def press(self, key: str, count: int = 1) -> None:
        """A key of the keyboard, as a reader presses it."""
        named = {"key": key, "code": key, "windowsVirtualKeyCode": _KEYS[key]}
        if key == "Enter":
            named["text"] = "\r"
        for _ in range(count):
            self.call("Input.dispatchKeyEvent", type="keyDown", **named)
            self.call("Input.dispatchKeyEvent", type="keyUp", **named)

    def type(self, text: str) -> None:
        """Text into what has the focus."""
        self.call("Input.insertText", text=text)

    def mouse(self, selector: str, *, click: bool = False) -> None:
        """Move the mouse to the middle of an element, and perhaps click there."""
        x, y = self.js(
            f"(async () => {{ const e = document.querySelector({json.dumps(selector)});"
            " e.scrollIntoView({block: 'center', inline: 'center', behavior: 'instant'});"
            " for (const _ of [1, 2]) await new Promise(requestAnimationFrame);"
            " const r = e.getBoundingClientRect();"
            " return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        at = {"x": x, "y": y}
        self.call("Input.dispatchMouseEvent", type="mouseMoved", **at)
        if click:
            button = {"button": "left", "clickCount": 1}
            self.call("Input.dispatchMouseEvent", type="mousePressed", **at, **button)
            self.call("Input.dispatchMouseEvent", type="mouseReleased", **at, **button)

    def size(self, width: int, height: int) -> None:
        """The window's size in pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def prefer(self, scheme: str) -> None:
        """What the system says of its colours: `light` or `dark`."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setEmulatedMedia", features=[feature])

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """A PNG of the window, or of the whole page."""
        answer = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))

    def close(self) -> None:
        """End the browser."""
        try:
            self._session = None
            self.call("Browser.close")
        finally:
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            os.close(self._writing)
            os.close(self._reading)

    def _next(self) -> dict[str, Any]:
        while not self._messages:
            ready, _, _ = select.select([self._reading], [], [], _PATIENCE)
            data = os.read(self._reading, 1 << 20) if ready else b""
            if not data:
                raise TimeoutError("the browser says nothing")
            *whole, self._received = (self._received + data).split(b"\0")
            self._messages.extend(map(json.loads, whole))
        return self._messages.popleft()

    def _note(self, event: dict[str, Any]) -> None:
        said = event.get("params", {})
        match event.get("method"):
            case "Runtime.exceptionThrown":
                self.complaints.append(str(said["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if said["type"] in {"error", "warning", "assert"}:
                self.complaints.append(str(said["args"]))
            case "Log.entryAdded" if said["entry"]["level"] in {"error", "warning"}:
                self.complaints.append(said["entry"]["text"])
            case "Network.requestWillBeSent" if not said["documentURL"].startswith("about:"):
                if said["request"]["url"] != said["documentURL"]:
                    self.complaints.append(f"asked for {said['request']['url'][:200]}")
