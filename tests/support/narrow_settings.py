"""A site that runs another release of the project than the tests do: columns are narrower there."""

from tests.support.site_settings import *  # noqa: F403  # all but the one app
from tests.support.site_settings import INSTALLED_APPS as _APPS

INSTALLED_APPS = ["tests.narrow.apps.NarrowConfig" if app == "tests.typed" else app for app in _APPS]
