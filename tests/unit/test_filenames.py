"""Names of files from a peer: whatever is let through lies below ``upload_to``, and every usual name is let through."""

import os
import posixpath
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.db import models
from hypothesis import example, given, settings
from hypothesis import strategies as st

from peersync.filenames import static_prefix, why_refused
from peersync.files.storages import trusted

DATED = models.FileField(upload_to="papers/%Y/%m")
BARE = models.FileField()
CALLED = models.FileField(upload_to=lambda instance, name: f"x/{name}")
DEFAULTED = models.FileField(upload_to="covers/", default="none.png")
SIGNS = st.sampled_from(
    ["/", "..", ".", "\\", "a", "papers", "é", "\x00", "\n", "C:", "~", " ", "\u202e", "\u2028", "x" * 300]
)


@pytest.mark.parametrize(
    ("upload_to", "prefix"),
    [
        ("papers", ("papers",)),
        ("papers/", ("papers",)),
        ("./a//b/", ("a", "b")),
        ("papers/%Y", ("papers",)),
        ("papers/p%Y/x", ("papers",)),
        ("%Y/papers", ()),
        ("", ()),
        ("../up", ()),
    ],
)
def test_the_fixed_part_of_upload_to(upload_to: str, prefix: tuple[str, ...]) -> None:
    assert static_prefix(models.FileField(upload_to=upload_to)) == prefix


def test_a_function_has_no_fixed_part() -> None:
    assert static_prefix(CALLED) == ()


@pytest.mark.parametrize("name", ["", "papers/2024/05/a b (1).txt", "papers/é/☃.tar.gz", "papers/x", "papers/.hidden"])
def test_usual_names_are_fine(name: str) -> None:
    assert why_refused(DATED, name) == ""


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("/papers/x", "absolute"),
        ("C:/papers/x", "absolute"),
        ("papers/../x", "upwards"),
        ("papers/..", "upwards"),
        ("papers\\x", "backslash"),
        ("papers/x\x00.txt", "control"),
        ("papers/x\r\n", "control"),
        ("papers/\ud800", "control"),
        ("papers//x", "empty part"),
        ("papers/./x", "empty part"),
        ("papers/", "empty part"),
        ("papers", "outside of upload_to, papers/"),
        ("paper/x", "outside of upload_to"),
        ("invoices/secret.pdf", "outside of upload_to"),
        ("papers/" + "x" * 256, "255 bytes"),
        ("papers/" + "é" * 128, "255 bytes"),
        ("papers/" + "y/" * 50 + "x", "more than 100 characters"),
    ],
)
def test_names_that_lead_elsewhere_are_refused(name: str, why: str) -> None:
    assert why in why_refused(DATED, name)


def test_the_default_of_the_field_is_fine_wherever_it_lies() -> None:
    assert why_refused(DEFAULTED, "none.png") == ""
    assert why_refused(DEFAULTED, "other.png") != ""


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(st.text(max_size=30), st.lists(SIGNS, max_size=6).map("".join), st.lists(SIGNS, max_size=6).map("/".join))
)
@example("papers/..\\..\\x")
@example("papers/2024/../../x")
def test_nothing_that_is_let_through_leaves(name: str) -> None:
    for field, prefix in ((DATED, "papers/"), (BARE, ""), (CALLED, ""), (DEFAULTED, "covers/")):
        if why_refused(field, name) or not name or name == "none.png":
            continue
        found = posixpath.normpath(posixpath.join("/root", name))
        assert found == f"/root/{name}"
        assert found.startswith(f"/root/{prefix}")
        assert os.path.realpath(f"/nowhere/{name}") == f"/nowhere/{name}"


def test_a_symbolic_link_leads_nowhere(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "media", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (root / "papers").mkdir(parents=True)
    (root / "papers" / "link").symlink_to(elsewhere)
    (root / "papers" / "inside").symlink_to(root / "papers")
    field = models.FileField(upload_to="papers", storage=FileSystemStorage(location=root))
    field.storage.save("papers/x", ContentFile(b""))
    assert trusted(field, "papers/x") == ""
    assert trusted(field, "papers/inside/x") == ""
    assert "symbolic link" in trusted(field, "papers/link/x")


def test_a_link_of_the_owners_on_the_way_to_upload_to_is_fine(tmp_path: Path) -> None:
    root, disk = tmp_path / "media", tmp_path / "big disk"
    disk.mkdir()
    root.mkdir()
    (root / "papers").symlink_to(disk)
    field = models.FileField(upload_to="papers", storage=FileSystemStorage(location=root))
    assert trusted(field, "papers/x") == ""
