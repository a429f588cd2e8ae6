"""The frame of every page: texts, assets, language, theme, caching."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from node.domain.states import State
from node.domain.wording import Language
from node.web.assets import STATIC
from node.web.messages.texts import TEXTS, Translator
from node.web.views.state_labels import LOOKS

ROOT = Path(__file__).parents[2]
_KEYS = re.compile(r"""\bt(?:\.count)?\(\s*["']([a-z_]+\.[a-z0-9_.]*[a-z0-9_])["']\s*[,)]""")


def test_every_text_has_both_languages_with_the_same_values() -> None:
    """No text is empty, and both languages name the same values."""
    for key, (english, french) in TEXTS.items():
        assert english.strip(), key
        assert french.strip(), key
        values = [sorted(re.findall(r"\{(\w+)\}", text)) for text in (english, french)]
        assert values[0] == values[1], key


def test_texts_follow_the_style_guide() -> None:
    """No exclamation marks, no "please", no "successfully"; true minus and typographic marks."""
    for key, pair in TEXTS.items():
        for text in pair:
            assert not re.search(r"!|\bplease\b|successfully|s'il vous plaît", text, re.I), key
            assert "'" not in text, f"{key}: use the typographic apostrophe"


def test_every_text_a_template_asks_for_is_there() -> None:
    """A key written in a template or a page exists, also as one and many."""
    files = [*(ROOT / "node/web").rglob("*.html"), *(ROOT / "node/web/pages").glob("*.py")]
    asked = {(key, file.name) for file in files for key in _KEYS.findall(file.read_text())}
    assert asked
    for key, name in asked:
        assert key in TEXTS or f"{key}.one" in TEXTS, f"{name} asks for {key}"


def test_counts_are_spoken_as_each_language_does() -> None:
    """French counts zero as one; English as many."""
    one, many = (TEXTS[f"queue.images.{n}"] for n in ("one", "many"))
    assert Translator(Language.EN).count("queue.images", 0) == many[0].format(n=0)
    assert Translator(Language.FR).count("queue.images", 0) == one[1].format(n=0)


def test_every_state_has_a_word_and_an_icon_of_the_sprite() -> None:
    """No state is without its word in either language, or points to an icon that is not there."""
    sprite = (STATIC / "vendor/icons.svg").read_text()
    for state in State:
        assert f"state.{state}" in TEXTS
        assert f'id="{LOOKS[state].icon}"' in sprite


@pytest.mark.parametrize("folder", ["node/web/static/vendor", "tests/web/vendor"])
def test_vendored_files_are_what_the_manifest_says(folder: str) -> None:
    """Each file has the hash, the licence and the version of the lock file it is listed with."""
    lock = json.loads((ROOT / ".ci/assets/package-lock.json").read_text())["packages"]
    place = ROOT / folder
    listed = json.loads((place / "manifest.json").read_text())
    for entry in listed:
        data = (place / entry["file"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == entry["sha256"], entry["file"]
        assert (place / entry["licence_file"]).is_file()
        package = lock[f"node_modules/{entry['package']}"]
        assert (package["version"], package["integrity"]) == (
            entry["version"],
            entry["package_integrity"],
        )
    known = {e["file"] for e in listed} | {e["licence_file"] for e in listed} | {"manifest.json"}
    assert {p.name for p in place.iterdir()} == known


def test_icons_the_templates_name_are_in_the_sprite() -> None:
    """Every icon("...") of a template exists."""
    sprite = (STATIC / "vendor/icons.svg").read_text()
    for file in (ROOT / "node/web/templates").rglob("*.html"):
        for name in re.findall(r"""icon\(["']([a-z0-9-]+)["']""", file.read_text()):
            assert f'id="{name}"' in sprite, f"{file.name} names {name}"
