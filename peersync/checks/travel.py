"""What travels though its owner may not mean it: rights, secrets, references to nowhere, keys that meet."""

import re
from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage
from django.db.models import AutoField, Field

from peersync.checks.messages import message
from peersync.checks.sections import known_models, sections
from peersync.conf import Settings
from peersync.naturals import natural_fields, unique_fields
from peersync.registry import NATURAL, Registry, SyncModel, registry

RIGHTS = ("is_superuser", "is_staff")
RIGHTS_BETWEEN = ("groups", "user_permissions", "permissions")
"""Many-to-many fields that give rights."""

_WORDS = frozenset(
    (
        *("password", "passwd", "passphrase", "passcode", "pwd", "secret", "token", "otp", "totp", "hotp"),
        *("pin", "credential", "credentials", "apikey", "cvv", "cvc"),
    )
)
_PAIRS = re.compile(
    r"(api|access|private|secret|signing|encryption|session|auth|ssh|backup|recovery)_(key|code)s?(_|$)"
)
_SECRET_TYPES = frozenset(("text", "bytes", "json", "uuid", "int", "native"))
"""Not ``token_expires`` and ``has_password``: a date or a truth value is no secret."""


def check(conf: Settings) -> list[CheckMessage]:
    everything = registry()
    found = [*_not_synchronised(conf, everything)]
    for model in everything.models.values():
        found += [*_rights(model), *_secrets(model), *_references(model, everything)]
        found += [*_automatic_keys(model, conf), *_natural_key(model, conf)]
    return found


def _not_synchronised(conf: Settings, everything: Registry) -> Iterator[CheckMessage]:
    """A setting for a model that does not travel is without effect: harmless, but hardly meant."""
    synchronised = {label.lower() for label in everything.models}
    for section in sections(conf):
        named = [(key, label) for key, mapping in section.by_model.items() for label in mapping]
        named += [("MODELS", p) for p in section.models if section.peer and not p.startswith("!") and "*" not in p]
        for key, label in named:
            if label != "*" and label.lower() not in synchronised:
                where = section.at(key) if key == "MODELS" else section.at(key, label)
                text = f'{where} is about {label}, which SYNC_CONFIG["MODELS"] does not synchronise.'
                yield message("W001", text, f'Add "{label}" to SYNC_CONFIG["MODELS"], or take this out.')


def _exclude(label: str, *names: str) -> str:
    listed = ", ".join(f'"{name}"' for name in names)
    return f'SYNC_CONFIG["EXCLUDE"]: {{"{label}": [{listed}]}}'


def _rights(model: SyncModel) -> Iterator[CheckMessage]:
    """One way is a decision; both ways is what one gets without thinking of it."""
    if model.direction != "both":
        return
    if model.through:
        owner, name = _owner(model)
        names = [name] if name in RIGHTS_BETWEEN else []
    else:
        owner, names = model.label, [name for name in model.names if name in RIGHTS]
    if names:
        text = (
            f"{' and '.join(names)} of {owner} travel{'s' if len(names) == 1 else ''} both ways: "
            "whoever may push can make superusers here."
        )
        mend = (
            f"Close it by {_exclude(owner, *names)}, "
            f'or by SYNC_CONFIG["DIRECTION"]: {{"{model.label}": "master-to-slave"}}.'
        )
        yield message("W003", text, mend, model.model)


def _owner(through: SyncModel) -> tuple[str, str]:
    """Of an automatic table: the label of the model, and its many-to-many field."""
    for other in known_models().values():
        for field in other._meta.local_many_to_many:
            if field.remote_field.through is through.model:
                return other._meta.label, field.name
    return through.label, ""


def looks_secret(field: "Field[Any, Any]") -> bool:
    """By its name; by what its column holds only in that dates and truth values are none."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", field.name).lower()
    return not _WORDS.isdisjoint(name.split("_")) or _PAIRS.search(name) is not None


def _secrets(model: SyncModel) -> Iterator[CheckMessage]:
    names = [f.name for f in model.fields if not f.target and f.wire in _SECRET_TYPES and looks_secret(f.raw.field)]
    if names:
        text = f"{', '.join(names)} of {model.label} may be secret, and will be sent to every peer."
        yield message("W004", text, f"Keep it at home: {_exclude(model.label, *names)}.", model.model)


def _references(model: SyncModel, everything: Registry) -> Iterator[CheckMessage]:
    """Django's own models are there on every node; what points to them finds them by their natural key."""
    for field in model.foreign_keys:
        if field.target in everything.models or field.target in NATURAL or model.through:
            continue
        text = (
            f"{model.label}.{field.name} points to {field.target}, which is not synchronised: "
            "a row whose target is missing on the other side waits there in quarantine."
        )
        mend = f'Add "{field.target}" to SYNC_CONFIG["MODELS"], or {_exclude(model.label, field.name)}.'
        yield message("W002", text, mend, model.model)


def _automatic_keys(model: SyncModel, conf: Settings) -> Iterator[CheckMessage]:
    chosen = conf.identity.get(model.label, conf.identity.get("*"))
    if model.through or model.identity or model.direction != "both" or chosen is not None:
        return
    if isinstance(model.pk.field, AutoField):
        label = model.label
        names = ", ".join(f'"{name}"' for name in unique_fields(model.model) or ("field",))
        text = (
            f"{label} is numbered by each database for itself and travels both ways: "
            "two rows that are made under one number on two nodes meet as a conflict."
        )
        mend = (
            f'Name its rows by where they are born, SYNC_CONFIG["IDENTITY"]: {{"{label}": "origin"}}; or by fields '
            f'of their own, {{"{label}": [{names}]}} or "natural"; or give it a UUID as primary key; or let it travel one way, '
            f'"DIRECTION": {{"{label}": "master-to-slave"}}; or, where only one node '
            f'makes such rows, say so: "IDENTITY": {{"{label}": "pk"}}.'
        )
        yield message("W005", text, mend, model.model)


def _natural_key(model: SyncModel, conf: Settings) -> Iterator[CheckMessage]:
    chosen = conf.identity.get(model.label, conf.identity.get("*"))
    if model.identity or chosen is not None or natural_fields(model.model) is None:
        return
    text = f"{model.label} declares natural_key(), but its rows are known by their primary key."
    mend = f'Write SYNC_CONFIG["IDENTITY"]: {{"{model.label}": "natural"}}, or "pk" if it is meant so.'
    yield message("I001", text, mend, model.model)
