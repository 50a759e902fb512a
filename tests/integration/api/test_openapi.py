"""openapi.yaml: made from the code, never stale, in the wheel, served to anybody."""

import re

import yaml
from openapi_spec_validator import validate

from peersync import errors, tokens
from peersync_api import problems, urls
from peersync_api.views.base import OpenView
from tests import openapi
from tests.support.api import Api
from tests.support.contract import document


def test_it_is_not_stale() -> None:
    assert openapi.stale() == [], "run: make openapi"


def test_the_package_has_the_same_document() -> None:
    assert (openapi.PACKAGE / "openapi.yaml").read_bytes() == (openapi.TOP / "openapi.yaml").read_bytes()


def test_it_is_valid() -> None:
    validate(document())


def test_it_has_every_call() -> None:
    assert document()["openapi"].startswith("3.1")
    found = {path.strip("/") for path in document()["paths"]}
    known = {re.sub(r"<\w+:(\w+)>", r"{\1}", str(p.pattern)).strip("/") for p in urls.urlpatterns[:-1]}
    assert found == known


def test_every_error_that_can_come_is_promised() -> None:
    promised = {code for codes in problems.CODES.values() for code in codes}
    served = [errors.WireError, errors.Refused, errors.Busy, tokens.TokenRefused, tokens.TokenForbids]
    codes = {cls.code for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, tuple(served))}
    codes |= {cls.code for cls in vars(tokens).values() if isinstance(cls, type) and issubclass(cls, tuple(served))}
    assert codes <= promised


def test_the_project_s_own_document_is_left_alone() -> None:
    for pattern in urls.urlpatterns:
        view = pattern.callback.cls
        assert issubclass(view, OpenView)
        assert view.schema is None


def test_it_is_served_to_anybody(api: Api) -> None:
    answer = api.get("schema/", token=None)
    assert answer.headers["Content-Type"].startswith("application/yaml")
    assert yaml.safe_load(answer.body) == document()


def test_the_page_needs_nothing_from_elsewhere(api: Api) -> None:
    answer = api.get("docs/", token=None)
    text = answer.body.decode()
    assert "<script" not in text
    assert "http" not in text.replace("https://branch.example", "").replace("http-equiv", "")
    assert "/v1/snapshot/{model}/" in text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
