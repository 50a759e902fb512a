"""What conf.py could not read."""

from django.core.checks import CheckMessage

from peersync import conf
from peersync.checks.messages import message

_IDS = {"key": "E001", "type": "E002", "value": "E003"}


def check() -> list[CheckMessage]:
    return [message(_IDS[wrong.extra["kind"]], wrong.detail, wrong.hint) for wrong in conf.problems()]
