"""A contract test of a page in Chromium, driven by selenium:
track-fake-server run --check -- python page.py
"""

from __future__ import annotations

import functools
import json
import os
import threading
import urllib.error
import urllib.request
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.common.by import By


def admin(path: str, body: dict[str, Any]) -> Any:
    """Steer the server; an order that it refuses, or an expectation that fails, is an error."""
    url = os.environ["TRACK_ADMIN_URL"] + path
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            raise AssertionError(json.load(refused)["error"]) from None


def use(driver: Chrome, url: str) -> None:
    """Do what a user does, and look at what the page makes of it."""
    driver.get(f"{url}/page.html?track={os.environ['TRACK_URL']}")
    driver.find_element(By.NAME, "email").send_keys(os.environ["TRACK_EMAIL"])
    driver.find_element(By.NAME, "password").send_keys(os.environ["TRACK_PASSWORD"])
    driver.find_element(By.TAG_NAME, "button").click()
    admin("/expect", {"what": "socket", "within_s": 10})
    # Fails with what the page did instead, where it does not answer.
    admin("/expect", {"what": "pong", "within_s": 5})
    assert driver.find_elements(By.TAG_NAME, "li"), "the page shows no device"
    driver.get("about:blank")
    admin("/expect", {"what": "ended", "within_s": 5})


def main() -> None:
    """Serve the page at the host of the server, whose cookies it shares, and open it."""
    options = ChromeOptions()
    for argument in ("headless", "no-sandbox", "disable-dev-shm-usage"):
        options.add_argument(f"--{argument}")
    folder = functools.partial(SimpleHTTPRequestHandler, directory=Path(__file__).parent)
    with ThreadingHTTPServer(("127.0.0.1", 0), folder) as pages:
        threading.Thread(target=pages.serve_forever).start()
        try:
            with Chrome(options) as driver:
                use(driver, f"http://127.0.0.1:{pages.server_port}")
        finally:
            pages.shutdown()
    print("a page answered its PING")


if __name__ == "__main__":
    main()
