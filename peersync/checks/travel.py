"""What travels though its owner may not mean it: rights, secrets, references to nowhere, keys that meet."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import apps
from django.conf import settings as django_settings
from django.core.checks import CheckMessage
from django.db.models import AutoField, Field

from peersync.checks.messages import listed, message
from peersync.checks.sections import known_models, sections
from peersync.columns import elsewhere
from peersync.conf import Settings
from peersync.loose import is_number
from peersync.naturals import natural_fields, unique_fields
from peersync.registry import NATURAL, Registry, SyncField, SyncModel, registry

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
    models = list(everything.models.values())
    found = [*_not_synchronised(conf, everything)]
    for model in models:
        found += [*_rights(model), *_secrets(model)]
    found += _references([(m, f) for m in models for f in m.foreign_keys if _leads_out(m, f, everything)])
    found += _automatic_keys([model for model in models if _numbered_by_each(model, conf)])
    found += _unmanaged([model for model in models if not model.model._meta.managed and not model.through])
    found += _kept_elsewhere(conf)
    return [*found, *_natural_keys([model for model in models if _names_itself(model, conf)])]


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
        names = [name] if name in RIGHTS_BETWEEN and owner in (django_settings.AUTH_USER_MODEL, "auth.Group") else []
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


def _leads_out(model: SyncModel, field: SyncField, everything: Registry) -> bool:
    """Django's own models are there on every node; what points to them finds them by their natural key."""
    return not (field.target in everything.models or field.target in NATURAL or model.through or is_number(field))


def _references(found: Sequence[tuple[SyncModel, SyncField]]) -> Iterator[CheckMessage]:
    """One message, however many there are: a project has hundreds of models."""
    text = "a row whose target is missing on the other side waits there in quarantine."
    if len(found) == 1:
        model, field = found[0]
        mend = f'Add "{field.target}" to SYNC_CONFIG["MODELS"], or {_exclude(model.label, field.name)}.'
        one = f"{model.label}.{field.name} points to {field.target}, which is not synchronised: {text}"
        yield message("W002", one, mend, model.model)
    elif found:
        pairs = listed([f"{model.label}.{field.name} to {field.target}" for model, field in found])
        targets = listed([f'"{target}"' for target in dict.fromkeys(field.target for _, field in found)])
        mend = f'Add to SYNC_CONFIG["MODELS"]: {targets}; or leave the fields out by EXCLUDE.'
        yield message(
            "W002", f"{len(found)} foreign keys point to models that are not synchronised: {text} {pairs}.", mend
        )


def _numbered_by_each(model: SyncModel, conf: Settings) -> bool:
    chosen = conf.identity.get(model.label, conf.identity.get("*"))
    if model.through or model.identity or model.direction != "both" or chosen is not None:
        return False
    return isinstance(model.pk.field, AutoField)


def _automatic_keys(found: Sequence[SyncModel]) -> Iterator[CheckMessage]:
    if len(found) == 1:
        yield _automatic_key(found[0])
    elif found:
        text = (
            f"{len(found)} models are numbered by each database for itself and travel both ways: two rows that are made "
            f"under one number on two nodes meet as a conflict. {listed([model.label for model in found])}."
        )
        mend = (
            'Name their rows by where they are born, SYNC_CONFIG["IDENTITY"]: {"*": "origin"}; or where only one node makes '
            'rows, say so: "IDENTITY": {"*": "pk"}; or for each model, as docs/keys.md has it.'
        )
        yield message("W005", text, mend)


def _automatic_key(model: SyncModel) -> CheckMessage:
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
    return message("W005", text, mend, model.model)


def _names_itself(model: SyncModel, conf: Settings) -> bool:
    chosen = conf.identity.get(model.label, conf.identity.get("*"))
    return not model.identity and chosen is None and natural_fields(model.model) is not None


def _natural_keys(found: Sequence[SyncModel]) -> Iterator[CheckMessage]:
    if len(found) == 1:
        label = found[0].label
        text = f"{label} declares natural_key(), but its rows are known by their primary key."
        mend = f'Write SYNC_CONFIG["IDENTITY"]: {{"{label}": "natural"}}, or "pk" if it is meant so.'
        yield message("I001", text, mend, found[0].model)
    elif found:
        labels = listed([model.label for model in found])
        text = f"{len(found)} models declare natural_key(), but their rows are known by their primary key: {labels}."
        mend = 'Write "natural" for them into SYNC_CONFIG["IDENTITY"], or "pk" where it is meant so.'
        yield message("I001", text, mend)


def _unmanaged(found: Sequence[SyncModel]) -> Iterator[CheckMessage]:
    if found:
        labels = listed([model.label for model in found])
        text = f"No migration of this project makes the table of {labels}: whoever changes it tells nobody here."
        mend = (
            "Its table must stand on both sides, with the columns of the model and the same primary key; run "
            "`manage.py sync_peer install` whenever it was made anew, for its triggers went with it."
        )
        yield message("W019", text, mend)


def _kept_elsewhere(conf: Settings) -> Iterator[CheckMessage]:
    """Of what a pattern would take."""
    patterns = [p for p in conf.models if "*" in p and not p.startswith("!")]
    left = [m for m in apps.get_models() if m._meta.managed and not m._meta.proxy and elsewhere(m)]
    wanted = [m._meta.label for m in left if any(p.split(".")[0].lower() in ("*", m._meta.app_label) for p in patterns)]
    if wanted:
        text = f"A database router keeps these out of the synchronised databases; they do not travel: {listed(wanted)}."
        mend = "Let MASTER name the alias that has them, in settings of their own, if they are to be synchronised."
        yield message("W018", text, mend)
