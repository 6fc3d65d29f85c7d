"""`python -m tests.page.browser`: see that there is a Chromium; as root on Debian, install one where there is none."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ADVICE = "no Chromium here: install one (Debian: apt-get install chromium), then run make test-page again"
INSTALL = (("apt-get", "update"), ("apt-get", "install", "--yes", "--no-install-recommends", "chromium"))


def find() -> str | None:
    """Where the browser is."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@contextmanager
def launched() -> Iterator[Browser]:
    """A browser without a window or a graphics card; as root it must do without its sandbox."""
    arguments = ["--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find(), args=arguments)
        yield browser
        browser.close()


def main() -> int:
    """0 where there is a browser in the end."""
    if not find() and os.geteuid() == 0 and shutil.which("apt-get"):
        for command in INSTALL:
            subprocess.run(command, check=False, timeout=300)
    if not find():
        print(ADVICE, file=sys.stderr)  # noqa: T201 - read by whoever ran make
    return 0 if find() else 1


if __name__ == "__main__":
    sys.exit(main())
