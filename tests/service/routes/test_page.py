import re

from fastapi.testclient import TestClient

from service.routes.page import PAGE, fingerprint, with_addresses

FILE_MAX_LINES = 250


def addresses(html: str) -> list[str]:
    return re.findall(r'(?:href|src)="(/[^"]+)"', html)


def test_the_page_is_asked_for_each_time_and_its_files_never_again(client: TestClient) -> None:
    page = client.get("/")
    assert (page.status_code, page.headers["cache-control"]) == (200, "no-cache")
    assert addresses(page.text)
    for address in addresses(page.text):
        asset = client.get(address)
        assert (asset.status_code, asset.headers["cache-control"]) == (200, "public, max-age=31536000, immutable")
        assert asset.headers["x-content-type-options"] == "nosniff"


def test_a_page_that_has_not_changed_is_not_sent_again(client: TestClient) -> None:
    mark = client.get("/").headers["etag"]
    again = client.get("/", headers={"If-None-Match": mark})
    assert (again.status_code, again.content) == (304, b"")


def test_the_policy_allows_nothing_inline_and_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son[a-z]+=", page.text)
    assert not re.search(r"https?://", page.text)


def test_the_page_names_its_modules_early_and_every_import_is_there() -> None:
    modules = {path.name: path.read_text() for path in PAGE.glob("*.js")}
    imported = {name for text in modules.values() for name in re.findall(r'from "\./([^"]+)"', text)}
    assert imported == set(modules) - {"main.js"}
    html = with_addresses((PAGE / "index.html").read_text(), "mark", list(modules))
    assert set(re.findall(r'modulepreload" href="/page/mark/([^"]+)"', html)) == set(modules)


def test_every_element_that_a_module_asks_for_by_name_is_on_the_page() -> None:
    html = (PAGE / "index.html").read_text()
    there = set(re.findall(r'\bid="([^"]+)"', html))
    asked = {name for path in PAGE.glob("*.js") for name in re.findall(r'\bby\("([^"]+)"\)', path.read_text())}
    assert asked - there == set()


def test_an_address_of_another_day_or_another_file_is_not_found(client: TestClient) -> None:
    address = next(each for each in addresses(client.get("/").text) if each.endswith("main.js"))
    for wrong in (
        address.replace("main.js", "index.html"),
        address.replace("main.js", "..%2Findex.html"),
        "/page/0/main.js",
    ):
        assert client.get(wrong).status_code == 404


def test_any_change_of_any_file_changes_the_address() -> None:
    files = {"a.js": b"1", "b.js": b"2"}
    assert len({fingerprint(each) for each in (files, files | {"a.js": b"2"}, files | {"c.js": b""})}) == 3


def test_the_modules_stay_small() -> None:
    assert {
        path.name: n for path in PAGE.glob("*.js") if (n := len(path.read_text().splitlines())) > FILE_MAX_LINES
    } == {}
