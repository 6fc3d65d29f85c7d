"""What a person does at the page, and what they see there."""

import base64
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import ConsoleMessage, Page, expect

CARRY = """files => {
    const carried = new DataTransfer();
    for (const { name, content } of files) {
        const bytes = Uint8Array.from(atob(content), letter => letter.charCodeAt(0));
        carried.items.add(new File([bytes], name));
    }
    window.carried = carried;
}"""
DROP = """() => document.dispatchEvent(new DragEvent("drop", { dataTransfer: carried }))"""
PASTE = """() => document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: carried }))"""
GREY = """([index, x, y]) => {
    const canvas = document.querySelectorAll("#stage canvas")[index];
    const at = [Math.round(canvas.width * x), Math.round(canvas.height * y)];
    return [...canvas.getContext("2d").getImageData(...at, 1, 1).data.slice(0, 3)];
}"""
LABELS = """() => [...document.querySelectorAll("#list li:has(.likeliest)")].map(row =>
    [".name", ".likeliest th"].map(part => row.querySelector(part).textContent)
)"""
CLASS = "class:"

expect.set_options(timeout=15_000)


@dataclass
class Desk:
    """A page in a browser, whose console is watched: nothing may be refused by its policy, nothing may throw."""

    page: Page
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", self._listen)

    def _listen(self, message: ConsoleMessage) -> None:
        """What a refusal or a stopped service makes the browser say by itself is expected."""
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.faults.append(message.text)

    def visit(self, url: str) -> None:
        """Open the page and wait until its models are there."""
        self.page.goto(url)
        self.page.wait_for_selector("body[data-ready]")

    def choose(self, *files: Path) -> None:
        """Choose files as with the file dialog."""
        self.page.set_input_files("#files", [str(path) for path in files])

    def drop(self, *files: tuple[str, bytes]) -> None:
        """Drop files of these names and contents."""
        self.carry(*files)
        self.page.evaluate(DROP)

    def paste(self, *files: tuple[str, bytes]) -> None:
        """Paste them."""
        self.carry(*files)
        self.page.evaluate(PASTE)

    def carry(self, *files: tuple[str, bytes]) -> None:
        """Take files in hand, which costs the browser's time but is none of the page's doing."""
        self.page.evaluate(CARRY, [{"name": n, "content": base64.b64encode(c).decode()} for n, c in files])

    def wait_for(self, answered: int, failed: int = 0) -> None:
        """Wait until everything is over, so many answered and so many failed."""
        self.settle()
        words = f"{answered} of {answered + failed} answered" + (f", {failed} failed" if failed else "")
        expect(self.page.locator("#counts")).to_have_text(words, timeout=60_000)
        expect(self.page.locator("#list")).not_to_contain_text(re.compile("Waiting|Asking"))
        self.settle()

    def settle(self) -> None:
        """Wait until the list shows what is known."""
        expect(self.page.locator("#list")).to_have_attribute("aria-busy", "false")

    @property
    def names(self) -> list[str]:
        """File names in the order of the list."""
        self.settle()
        return self.page.locator("#list .name").all_text_contents()

    def row(self, name: str) -> Any:
        """The slice's row."""
        return self.page.get_by_role("option", name=re.compile(f"^{re.escape(name)}: "))

    def labels(self) -> dict[str, str]:
        """The first model's label of every answered slice in the list."""
        self.settle()
        return dict(self.page.evaluate(LABELS))

    def pixel(self, pane: int, x: float = 0.5, y: float = 0.5) -> list[int]:
        """Red, green and blue at a place of a pane, told in shares of its sides."""
        return list(self.page.evaluate(GREY, [pane, x, y]))
