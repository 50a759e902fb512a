"""Names of files as they come from a peer: whether one may be given to a storage at all.

A name is a path below the storage's root, with slashes on every system. It must lie where the field itself puts its
files, as far as ``upload_to`` says that without a date or a function.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from typing import Any

from django.core.exceptions import SuspiciousFileOperation
from django.core.files.utils import validate_file_name
from django.db.models import Field, FileField

LONGEST_PART = 255
"""Bytes of one part of a path: what every usual file system takes."""
_DRIVE = re.compile(r"[A-Za-z]:")


def is_file(field: Field[Any, Any]) -> bool:
    """Whether the field's column names a file of a storage."""
    return isinstance(field, FileField)


def static_prefix(field: Any) -> tuple[str, ...]:
    """The directories below which ``upload_to`` puts every file; empty where a date or a function decides."""
    if callable(field.upload_to):
        return ()
    text = str(field.upload_to)
    fixed = text.partition("%")[0]
    # "photos/%Y" says photos/, "photo-%Y" says nothing; without a date all of it is a directory
    directory = fixed.rpartition("/")[0] if "%" in text else fixed
    parts = [part for part in posixpath.normpath(directory).split("/") if part not in ("", ".")]
    return () if ".." in parts else tuple(parts)


def is_default(field: Any, name: str) -> bool:
    """Whether it is the field's own default: a file of the project's, wherever that lies, and on both sides already."""
    return bool(field.has_default()) and not callable(field.default) and str(field.default) == name


def why_refused(field: Any, name: str) -> str:
    """Why no file of that name is taken from a peer; empty where it is fine."""
    if not name or is_default(field, name):
        return ""
    shape = _misshapen(name)
    if shape:
        return f"the name of its file {shape}"
    prefix = static_prefix(field)
    parts = tuple(name.split("/"))
    if parts[: len(prefix)] != prefix or len(parts) == len(prefix):
        return f"the name of its file lies outside of upload_to, {'/'.join(prefix)}/"
    if field.max_length is not None and len(name) > field.max_length:
        return f"the name of its file has more than {field.max_length} characters"
    return ""


def _misshapen(name: str) -> str:
    parts = name.split("/")
    if "\\" in name:
        return "has a backslash"
    if any(unicodedata.category(sign) in ("Cc", "Cs") or sign in "\u2028\u2029" for sign in name):
        return "has a control character"
    if name.startswith("/") or _DRIVE.match(name):
        return "is an absolute path"
    if ".." in parts:
        return "leads upwards (..)"
    if "" in parts or "." in parts:
        return "has an empty part"
    if any(len(part.encode()) > LONGEST_PART for part in parts):
        return f"has a part of more than {LONGEST_PART} bytes"
    try:
        validate_file_name(name, allow_relative_path=True)
    except SuspiciousFileOperation:
        return "is none that Django takes"
    return ""
