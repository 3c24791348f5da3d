import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from harness import registry
from harness.errors import RegistryError
from harness.registry import Registry, load_object


def shapes() -> Registry[object]:
    builtin = {"path": "pathlib:Path", "joined": "os.path:join", "gone": "no_such_module:X"}
    return Registry("shape", "titrate.test_shapes", builtin)


def installed(folder: Path, package: str, **points: str) -> None:
    """An installed distribution, as far as importlib.metadata is concerned."""
    information = folder / f"{package}-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = "\n".join(f"{name} = {value}" for name, value in points.items())
    (information / "entry_points.txt").write_text(f"[titrate.test_shapes]\n{lines}\n")


def test_an_entry_is_imported_when_it_is_asked_for():
    sys.modules.pop("this", None)
    lazy: Registry[object] = Registry("poem", "titrate.test_poems", {"zen": "colorsys:rgb_to_hsv"})
    sys.modules.pop("colorsys", None)
    assert lazy.names() == ("zen",)
    assert "zen" in lazy
    assert "colorsys" not in sys.modules
    assert lazy.get("zen") is sys.modules["colorsys"].rgb_to_hsv
    assert lazy.get("zen") is lazy.get("zen")


def test_an_unknown_name_is_told_the_registry_and_what_is_close():
    with pytest.raises(RegistryError) as caught:
        shapes().get("pathh")
    assert str(caught.value) == (
        "'pathh' is not a shape; did you mean path? use one of path, joined, gone"
    )
    with pytest.raises(RegistryError, match="'x' is not a thing; none is registered"):
        Registry("thing", "titrate.test_none", {}).get("x")


def test_what_cannot_be_imported_is_named_with_its_origin():
    with pytest.raises(RegistryError, match=r"shape gone: no_such_module:X \(built in\) cannot"):
        shapes().get("gone")
    with pytest.raises(RegistryError, match="has no attribute 'Nothing'"):
        Registry("shape", "titrate.test_none", {"x": "pathlib:Nothing"}).get("x")


@pytest.mark.parametrize("reference", ["pathlib", "pathlib:", ":Path", ""])
def test_a_reference_has_two_parts(reference):
    with pytest.raises(ValueError, match='write "module:object"'):
        load_object(reference)


def test_a_reference_reaches_into_objects():
    assert load_object("pathlib:Path.cwd")() == Path.cwd()


def test_registering_takes_objects_and_references():
    own = shapes()
    thing = object()
    own.register("thing", thing)
    own.register("cwd", "pathlib:Path.cwd")
    assert own.get("thing") is thing
    assert own.get("cwd")() == Path.cwd()
    assert own.names() == ("path", "joined", "gone", "thing", "cwd")
    own.unregister("thing")
    assert "thing" not in own
    with pytest.raises(RegistryError, match="'thing' is not a shape"):
        own.unregister("thing")


def test_a_taken_name_is_refused_and_says_by_what():
    own = shapes()
    with pytest.raises(RegistryError, match=r"shape path: .* taken by pathlib:Path \(built in\)"):
        own.register("path", "os:path")
    own.register("new", "os:path")
    with pytest.raises(RegistryError, match=r"by os:path \(registered in this process\)"):
        own.register("new", "os:path")


def test_installed_packages_add_entries(tmp_path, monkeypatch):
    installed(tmp_path, "circles", circle="math:pi")
    monkeypatch.syspath_prepend(tmp_path)
    own = shapes()
    assert own.names() == ("path", "joined", "gone", "circle")
    assert 3.1 < own.get("circle") < 3.2
    assert own.get("path") is Path


def test_an_installed_package_cannot_take_a_name(tmp_path, monkeypatch):
    installed(tmp_path, "squares", path="os:path")
    monkeypatch.syspath_prepend(tmp_path)
    own = shapes()
    for _ in range(2):  # not only the first time
        with pytest.raises(RegistryError, match=r"os:path \(of squares\) cannot .* pathlib:Path"):
            own.names()


def test_summaries_are_first_lines():
    class Described:
        """Not this line."""

        summary = "A thing that says what it is."

    own = shapes()
    own.register("described", Described)
    lines = own.summaries()
    assert lines["described"] == "A thing that says what it is."
    assert lines["joined"].startswith("Join two or more pathname components")
    assert "\n" not in lines["joined"]
    assert "no_such_module" in lines["gone"]


def test_every_registry_has_a_group_of_its_own():
    every = {name: each for name, each in vars(registry).items() if isinstance(each, Registry)}
    assert {each.group for each in every.values()} == {f"titrate.{name}" for name in every}
    assert len(every) == 11


def test_what_is_built_in_can_be_imported():
    for each in vars(registry).values():
        if isinstance(each, Registry):
            for name in each.names():
                each.get(name)


def test_our_own_distribution_brings_no_entry_twice():
    groups = [each.group for each in vars(registry).values() if isinstance(each, Registry)]
    own = [point for group in groups for point in entry_points(group=group)]
    assert not [point for point in own if point.dist and point.dist.name == "pytest-titrate"]
