"""The packages that are installed: what `importlib.metadata` says of them, without importing that."""

from __future__ import annotations

import sys
import zipfile
from importlib import metadata

import pytest

from simkit.collect import installed


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of packages, first on the path."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def install(folder, name, **files):
    (folder / name).mkdir()
    for file, text in files.items():
        (folder / name / file).write_text(text, "utf-8")


def test_every_package_is_the_one_that_metadata_knows():
    path = [entry for entry in sys.path if not entry.endswith("_vendor")]
    names = {installed.spelled(dist.metadata["Name"]) for dist in metadata.distributions(path=path)}
    assert len(names) > 10
    for name in sorted(names)[::12]:
        package = installed.package(name)
        assert package is not None, name
        texts = [metadata.distribution(name).read_text(file) for file in ("METADATA", "entry_points.txt")]
        assert [package.read_text(file) for file in ("METADATA", "entry_points.txt")] == texts


@pytest.mark.parametrize(
    "folder",
    [
        "Some.pack_age-1.0.dist-info",
        "some_pack.age-2.0.post1+local-3.dist-info",
        "some_pack_age-1.0-py3.11.egg-info",
        "some_pack_age.egg-info",
    ],
)
def test_names_in_any_spelling(site, folder):
    install(site, folder, METADATA="Name: some-pack-age\n")
    assert installed.package("SOME_pack.age").read_text("METADATA") == "Name: some-pack-age\n"
    assert installed.package("some") is None


def test_the_first_on_the_path_counts_and_what_is_installed_later_is_seen(site):
    assert installed.package("numpy").read_text("METADATA").startswith("Metadata")
    install(site, "numpy-0.1.dist-info", METADATA="first")
    assert installed.package("numpy").read_text("METADATA") == "first"
    assert installed.package("numpy").read_text("RECORD") is None


@pytest.mark.parametrize("plain", [True, False])
def test_what_a_package_brings_for_itself_is_not_installed(site, plain, monkeypatch):
    """setuptools appends its ``_vendor`` to the path when it is imported, in whatever process does."""
    (site / "tools" / "_vendor").mkdir(parents=True)
    (site / "tools" / "__init__.py").touch()
    install(site / "tools" / "_vendor", "brought-1.0.dist-info", METADATA="Name: brought\n")
    install(site, "numpy-0.1.dist-info", METADATA="Name: numpy\n")
    monkeypatch.setattr(sys, "path", [str(site / "tools" / "_vendor"), str(site)])
    monkeypatch.setattr(installed, "_is_plain", lambda: plain)
    assert [package.read_text("METADATA") for package in installed.every_package()] == ["Name: numpy\n"]
    assert installed.package("brought") is None
    assert installed.package("numpy").read_text("METADATA") == "Name: numpy\n"


def test_packages_in_an_archive(tmp_path, monkeypatch):
    archive = tmp_path / "packed.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("packed-1.0.dist-info/METADATA", "Name: packed\nVersion: 1.0\n")
        file.writestr("packed-1.0.dist-info/entry_points.txt", "[simkit_packed]\na = b\n")
    assert installed.package("packed") is None
    assert not installed.offers("simkit_packed")
    monkeypatch.syspath_prepend(str(archive))
    assert "Version: 1.0" in installed.package("packed").read_text("METADATA")
    assert installed.package("nowhere") is None
    assert installed.offers("simkit_packed")


def test_packages_that_another_finder_knows_of(monkeypatch):
    class Finder:
        @staticmethod
        def find_spec(*_):
            return None

        @staticmethod
        def find_distributions(context):
            return iter([Foreign()] if context.name in (None, "foreign") else [])

    class Foreign(metadata.Distribution):
        def read_text(self, filename):
            return "Name: foreign\n" if filename == "METADATA" else None

        def locate_file(self, path):
            return path

    monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
    assert installed.package("foreign").read_text("METADATA") == "Name: foreign\n"


def test_what_plug_ins_offer(site):
    assert not installed.offers("simkit_of_a_test")
    install(
        site,
        "plug-1.0.dist-info",
        **{"entry_points.txt": "[console_scripts]\na = b\n[simkit_of_a_test]\nc = d\n"},
    )
    assert installed.offers("simkit_of_a_test")
    assert not installed.offers("simkit_of_a")
