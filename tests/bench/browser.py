"""A headless browser for tests, driven over two pipes: no port, no socket, no package."""

from __future__ import annotations

import itertools
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time

BROWSER = os.environ.get("BENCH_TEST_CHROMIUM") or shutil.which("chromium") or ""
NO_BROWSER = "no chromium here: set BENCH_TEST_CHROMIUM to one"
# The browser reads commands from file descriptor 3 and writes answers to 4, each ended by a zero byte.
_START = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in sys.argv[1:3]]
os.dup2(ends[0], 3)
os.dup2(ends[1], 4)
for fd in ends:
    os.close(fd)
os.execv(sys.argv[3], sys.argv[3:])
"""
_KEYS = {"Tab": 9, "Enter": 13, "ArrowDown": 40, " ": 32}


class Browser:
    """One page in one browser; what it says on its console and what it asks for is kept.

    Attributes:
        said: Messages of the console, the log and uncaught errors.
        asked: Addresses asked for.
    """

    def __init__(self, profile, seconds=60):
        reads, self._commands = os.pipe()
        self._answers, writes = os.pipe()
        flags = [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", f"--user-data-dir={profile}",
            "--remote-debugging-pipe", "about:blank",
        ]  # fmt: skip
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, str(reads), str(writes), BROWSER, *flags],
            pass_fds=(reads, writes),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(reads)
        os.close(writes)
        self._seconds, self._ids, self._rest = seconds, itertools.count(1), b""
        self.said, self.asked, self._events = [], [], []
        target = self._send("Target.createTarget", url="about:blank")["targetId"]
        self._session = None
        self._session = self._send("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for fd in (self._commands, self._answers):
            os.close(fd)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def call(self, method, **parameters):
        """Call a method of the browser's protocol."""
        return self._send(method, session=self._session, **parameters)

    def open(self, path):
        """Open a file and wait until it is there."""
        self._events.clear()
        self.call("Page.navigate", url=path.as_uri())
        self._until("Page.loadEventFired")

    def window(self, width, height, scheme="light"):
        """Set the size of the window in px, and whether the reader likes it dark."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setEmulatedMedia", features=[feature])

    def ask(self, expression):
        """Evaluate an expression, or a promise of one; the page's own policy stays in force."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key):
        """Press a key as a reader does."""
        text = {"Enter": "\r", " ": " "}.get(key)
        also = {"text": text} if text else {}
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code="Space" if key == " " else key,
                windowsVirtualKeyCode=_KEYS[key], **(also if kind == "keyDown" else {}),
            )  # fmt: skip

    def picture(self, *, whole=False):
        """Photograph the window, or the whole page: base64 of a PNG."""
        return self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"]

    def _send(self, method, session=None, **parameters):
        number = next(self._ids)
        message = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        content = json.dumps(message).encode() + b"\0"
        while content:
            content = content[os.write(self._commands, content) :]
        while True:
            answer = self._read()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def _until(self, method):
        while method not in self._events:
            self._read()

    def _read(self):
        """Read one message and keep what a page should not have said."""
        end = time.monotonic() + self._seconds
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._answers], [], [], max(0, end - time.monotonic()))
            assert ready, "the browser does not answer"
            part = os.read(self._answers, 1 << 20)
            assert part, "the browser ended"
            self._rest += part
        head, _, self._rest = self._rest.partition(b"\0")
        message = json.loads(head)
        event, facts = message.get("method", ""), message.get("params", {})
        self._events.append(event)
        if event == "Runtime.consoleAPICalled":
            self.said.append(str([part.get("value") for part in facts["args"]]))
        elif event == "Runtime.exceptionThrown":
            self.said.append(str(facts["exceptionDetails"]))
        elif event == "Log.entryAdded":
            self.said.append(facts["entry"]["text"])
        elif event == "Network.requestWillBeSent":
            self.asked.append(facts["request"]["url"])
        return message
