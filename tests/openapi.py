"""`python -m tests.openapi` makes openapi.yaml, its copy in the package and the page to read it; or `--check`."""

import os
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
PACKAGE = TOP / "api" / "peersync_api"


def made() -> dict[Path, str]:
    """What the code says, by the file where it belongs. Django must be set up."""
    from peersync_api import openapi

    document = openapi.document()
    text = openapi.as_yaml(document)
    return {
        TOP / "openapi.yaml": text,
        PACKAGE / "openapi.yaml": text,
        PACKAGE / "docs.html": openapi.as_page(document),
    }


def stale() -> list[Path]:
    """The files that say something else than the code."""
    return [path for path, text in made().items() if not path.exists() or path.read_text() != text]


def main() -> int:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    if "--check" in sys.argv:
        for path in stale():
            print(f"{path.relative_to(TOP)} is stale: python -m tests.openapi")
        return bool(stale())
    for path, text in made().items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
