import re
import subprocess
import tomllib
from pathlib import Path

from service.errors import ServiceError
from service.settings import PREFIX, Settings
from tests.service.test_errors import tree

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def test_the_readme_begins_with_the_commands_and_the_folders() -> None:
    first_screen = "\n".join(README.splitlines()[:16])
    for word in ("make serve", "make test", "curl -F file=@", "service/", "training/", "models/", "tests/"):
        assert word in first_screen


def test_every_make_target_the_readme_names_exists() -> None:
    for target in set(re.findall(r"^    make (\w+)", README, re.MULTILINE)):
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)  # noqa: S607 - make is found as a user finds it


def test_every_setting_is_documented_with_its_default_and_its_reason() -> None:
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else f"`{field.default}`"
        assert f"| `{PREFIX}{name.upper()}` | {default} | {field.description} |" in README


def test_every_problem_is_documented() -> None:
    sent = [kind for kind in tree() if kind.status != 499 and kind.__name__ != "Unavailable"]
    assert [kind.__name__ for kind in sent if f"`{kind().slug}`" not in README] == []
    assert isinstance(sent[0](), ServiceError)


def test_files_stay_small() -> None:
    files = [path for room in ("service", "training") for path in (ROOT / room).rglob("*.py")]
    assert {path.name: n for path in files if (n := len(path.read_text().splitlines())) > 250} == {}


def test_every_room_of_the_service_but_the_contract_is_closed_to_training() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    closed = next(each["forbidden_modules"] for each in contracts if each.get("source_modules") == ["training"])
    folders = [path for path in (ROOT / "service").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
    rooms = {f"service.{path.stem}" for path in folders} - {"service.__init__", "service.contract"}
    assert rooms == set(closed)
