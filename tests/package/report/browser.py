#!/usr/bin/env python3
"""Opens reports in a headless Chromium, at the width of a phone and of a desk, and tells what is wrong with them.

    browser.py REPORT.html... [--screenshots FOLDER]

For each report and width: nothing may be written to the console, nothing asked of the network, nothing may stick out to the
right, with everything unfolded; every figure has to have a chart with marks, titles along its axes, no text that is cut
off, and a caption. Needs Python alone and a Chromium:
they talk over a pipe (the DevTools protocol). Exit code 77, which ctest counts as skipped, if there is no Chromium.
"""

import argparse
import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

WIDTHS = (390, 1280)
SKIPPED = 77
PATIENCE = 60  # seconds, for any one answer

LOOK = """(() => {
  const folded = Array.from(document.querySelectorAll("details:not([open])"));
  folded.forEach((part) => { part.open = true; });
  const figures = Array.from(document.querySelectorAll("figure")).map((figure) => {
    const svg = figure.querySelector(".plot svg");
    const count = (what) => svg ? svg.querySelectorAll(what).length : 0;
    const box = svg ? svg.getBoundingClientRect() : {right: 0, width: 0};
    return {
      title: figure.querySelector("h3").textContent,
      caption: figure.querySelector("figcaption").textContent.trim(),
      marks: count(".role-mark path, .role-scope path"),
      axes: svg ? Array.from(svg.querySelectorAll(".role-axis-title text")).map((text) => text.textContent) : [],
      labels: count(".role-axis-label text"),
      cut: svg ? Array.from(svg.querySelectorAll("text")).filter((text) => {
        const at = text.getBoundingClientRect();
        return text.textContent && at.width > 0 && (at.right > box.right + 1 || at.left < box.left - 1);
      }).map((text) => text.textContent) : [],
      right: box.right, width: box.width,
    };
  });
  const root = document.documentElement;
  const page = {figures, scroll: root.scrollWidth, width: root.clientWidth, alien: window.alien || 0,
                sections: document.querySelectorAll("section").length, cells: document.querySelectorAll("td").length};
  folded.forEach((part) => { part.open = false; });
  return page;
})()"""


class Browser:
    """One Chromium, driven over a pipe."""

    def __init__(self, program):
        self.profile = tempfile.mkdtemp(prefix="regulon-browser-")
        to_browser, self.to = os.pipe()
        self.back, from_browser = os.pipe()
        # The browser reads from descriptor 3 and writes to 4: first both ends get numbers that are out of the way.
        far = [os.dup2(to_browser, 103), os.dup2(from_browser, 104)]
        command = f'exec "$0" "$@" 3<&{far[0]} 4>&{far[1]}'
        flags = ["--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--no-first-run",
                 "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
                 f"--user-data-dir={self.profile}", "about:blank"]
        self.process = subprocess.Popen(["bash", "-c", command, program, *flags], pass_fds=far,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for descriptor in (to_browser, from_browser, *far):
            os.close(descriptor)
        os.set_blocking(self.back, False)
        self.held = b""
        self.number = 0
        self.events = []

    def close(self):
        try:
            self.call("Browser.close")
        except (OSError, RuntimeError):
            pass
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
        shutil.rmtree(self.profile, ignore_errors=True)

    def receive(self, until):
        while b"\0" not in self.held:
            try:
                part = os.read(self.back, 1 << 20)
            except BlockingIOError:
                if time.monotonic() > until:
                    raise RuntimeError("the browser does not answer") from None
                time.sleep(0.005)
                continue
            if not part:
                raise RuntimeError("the browser ended")
            self.held += part
        message, self.held = self.held.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, session=None, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        text = json.dumps(message).encode() + b"\0"
        while text:
            text = text[os.write(self.to, text):]
        until = time.monotonic() + PATIENCE
        while True:
            answer = self.receive(until)
            if answer.get("id") != self.number:
                self.events.append(answer)
            elif "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']['message']}")
            else:
                return answer["result"]

    def wait_for(self, method):
        until = time.monotonic() + PATIENCE
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self.receive(until))


def complaints_of(events):
    """What the page wrote to the console, threw, or asked the network for."""
    for event in events:
        params = event.get("params", {})
        if event.get("method") == "Runtime.consoleAPICalled":
            yield f"console.{params['type']}: {[arg.get('value', arg.get('description')) for arg in params['args']]}"
        elif event.get("method") == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            yield f"threw: {details.get('exception', {}).get('description', details['text'])}"
        elif event.get("method") == "Log.entryAdded":
            yield f"log: {params['entry']['level']}: {params['entry']['text']}"
        elif event.get("method") == "Network.requestWillBeSent":
            url = params["request"]["url"]
            if not url.startswith(("file:", "data:")):
                yield f"asked for {url}"


def faults_of(page):
    """What is wrong with what was drawn."""
    if page["scroll"] > page["width"]:
        yield f"sticks out to the right: {page['scroll']} of {page['width']} px"
    if page["alien"]:
        yield "ran a script that came with the data"
    if not page["sections"] or not page["cells"]:
        yield "has no sections or no tables"
    for figure in page["figures"]:
        where = f"figure '{figure['title']}'"
        if not figure["marks"]:
            yield f"{where}: nothing is drawn"
        if not figure["axes"] or not all(figure["axes"]) or figure["labels"] < 2:
            yield f"{where}: an axis has no title or no labels"
        if figure["cut"]:
            yield f"{where}: cut off: {figure['cut']}"
        if len(figure["caption"]) < 20:
            yield f"{where}: no caption that says anything"
        if figure["right"] > page["width"] + 1 or figure["width"] < 150:
            yield f"{where}: does not fit"


def open_report(browser, path, width, screenshots):
    target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    for domain in ("Page", "Runtime", "Log", "Network"):
        browser.call(f"{domain}.enable", session)
    browser.call("Network.emulateNetworkConditions", session, offline=True, latency=0, downloadThroughput=0,
                 uploadThroughput=0)
    browser.call("Emulation.setDeviceMetricsOverride", session, width=width, height=900,
                 deviceScaleFactor=2 if width < 600 else 1, mobile=width < 600)
    browser.events.clear()
    browser.call("Page.navigate", session, url=path.resolve().as_uri())
    browser.wait_for("Page.loadEventFired")
    page = {}
    for _ in range(100):  # charts are drawn asynchronously
        page = browser.call("Runtime.evaluate", session, expression=LOOK, returnByValue=True)["result"]["value"]
        if all(figure["marks"] for figure in page["figures"]):
            break
        time.sleep(0.05)
    if screenshots:
        shot = browser.call("Page.captureScreenshot", session, format="png", captureBeyondViewport=True)
        (screenshots / f"{path.stem}-{width}.png").write_bytes(base64.b64decode(shot["data"]))
        if width > 600:
            pdf = browser.call("Page.printToPDF", session, printBackground=True)
            (screenshots / f"{path.stem}.pdf").write_bytes(base64.b64decode(pdf["data"]))
    faults = [*complaints_of(browser.events), *faults_of(page)]
    browser.call("Target.closeTarget", targetId=target)
    print(f"{path.name} at {width} px: {len(page['figures'])} figures, {len(faults)} faults")
    for fault in faults:
        print(f"  {fault}")
    return len(faults), [figure["title"] for figure in page["figures"]]


def find_chromium():
    names = (os.environ.get("REGULON_CHROMIUM"), "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((found for found in map(shutil.which, filter(None, names)) if found), None)


def check(paths, screenshots=None):
    """The number of faults in all reports, and the titles of the figures of each."""
    browser = Browser(find_chromium())
    try:
        results = [open_report(browser, path, width, screenshots) for path in paths for width in WIDTHS]
    finally:
        browser.close()
    return sum(faults for faults, _ in results), [titles for _, titles in results[:: len(WIDTHS)]]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reports", nargs="+", type=pathlib.Path)
    parser.add_argument("--screenshots", type=pathlib.Path)
    arguments = parser.parse_args()
    if not find_chromium():
        print("skipped: no Chromium is here (Debian: apt-get install chromium)")
        return SKIPPED
    if arguments.screenshots:
        arguments.screenshots.mkdir(parents=True, exist_ok=True)
    faults, _ = check(arguments.reports, arguments.screenshots)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
