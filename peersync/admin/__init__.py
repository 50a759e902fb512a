"""peersync in Django's admin: to look at, never to write; a record's versions can be put back from there.

Test discovery imports this package in projects that have no admin, which must stay without.
"""

from django.apps import apps

if apps.is_installed("django.contrib.admin"):
    from peersync.admin import tables  # noqa: F401  # importing it registers them
