"""Every error that peersync raises, as one tree; the docstring of a class is its message.

PeersyncError
├── ConfigurationError      the settings say something that cannot be
├── WireError               what came over the wire is malformed
│   ├── UnknownModel
│   └── UnknownField
├── Refused                 well-formed, but the replica will not do it
│   ├── StaleBatch          the batch does not start at the checkpoint
│   ├── UnknownPoint        a point of the other's history is not known here
│   ├── ForgedVersion
│   ├── WrongTarget         the batch was made for another node
│   ├── CursorUnknown
│   ├── SchemaDiffers
│   ├── RoleConflict
│   ├── ClockSkew
│   ├── SameDatabase
│   ├── ReadOnlyReplica
│   ├── TooManyConflicts
│   ├── MatchNeeded         which rows of two histories are one row has to be said
│   ├── FileUnreadable      the contents of a file are not to be had
│   ├── NotInstalled        tables or node row missing
│   └── FirstContactNeeded
├── Busy                    a lock was not to be had in time; retryable
├── StorageFailed           the storage of files, or the disk, failed; retryable
├── CannotPutBack           a version that a record keeps cannot be written now
└── PeerError               the peer could not be talked to
    ├── PeerUnreachable, PeerTimeout, TlsFailure, PeerUnavailable    retryable
    ├── AnswerCutOff, PayloadTooLarge                                 retryable (smaller)
    └── NotPeersync, WrongUrl, Redirected, AnswerTooLarge, Unauthorized, Forbidden, InsecureUrl, ProtocolDiffers
"""

from __future__ import annotations

from typing import Any, ClassVar


class PeersyncError(Exception):
    """peersync could not do what it was asked to do."""

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str = "", *, hint: str = "", **extra: Any) -> None:
        self.detail = detail or (type(self).__doc__ or "").strip().splitlines()[0]
        self.hint = hint
        self.extra = extra
        super().__init__(f"{self.detail} {hint}".strip())

    def as_dict(self) -> dict[str, str]:
        """``{"code": …, "detail": …}``: the form of ``--json`` and of the wire."""
        return {"code": self.code, "detail": str(self)}


class ConfigurationError(PeersyncError):
    """SYNC_CONFIG says something that cannot be."""

    code = "configuration"


class WireError(PeersyncError):
    """What the peer sent is malformed."""

    code = "malformed"


class UnknownModel(WireError):
    """No such model is synchronised here."""

    code = "unknown_model"


class UnknownField(WireError):
    """No such field is synchronised here."""

    code = "unknown_field"


class Refused(PeersyncError):
    """The replica refused."""

    code = "refused"


class StaleBatch(Refused):
    """The batch does not start at the place that the checkpoint names."""

    code = "stale_batch"


class UnknownPoint(Refused):
    """A point of the history that the peer has seen is not known here."""

    code = "unknown_point"


class ForgedVersion(Refused):
    """A version names a place of a history that does not exist yet."""

    code = "impossible_version"


class WrongTarget(Refused):
    """The batch was made for another node."""

    code = "wrong_target"


class CursorUnknown(Refused):
    """The cursor is not a place in this node's feed any more."""

    code = "cursor_unknown"


class SchemaDiffers(Refused):
    """The two sides do not synchronise the same fields of a model."""

    code = "schema_differs"


class RoleConflict(Refused):
    """Both sides say that they are the master, or a policy needs a ROLE that is not set."""

    code = "role_conflict"


class ClockSkew(Refused):
    """The clocks of the two nodes are too far apart."""

    code = "clock_skew"


class SameDatabase(Refused):
    """Source and target are the same database."""

    code = "same_database"


class ReadOnlyReplica(Refused):
    """The database is a physical replica and cannot be written."""

    code = "read_only"


class TooManyConflicts(Refused):
    """The first contact met more conflicts than MAX_CONFLICTS."""

    code = "too_many_conflicts"


class MatchNeeded(Refused):
    """It has to be said which rows that stood on both sides before are one row."""

    code = "match_needed"


class FileUnreadable(Refused):
    """The file is not here, or cannot be read now."""

    code = "file_unreadable"


class NotInstalled(Refused):
    """peersync's tables are missing in the database."""

    code = "not_installed"


class FirstContactNeeded(Refused):
    """Automatic sync never makes a first contact with a target that holds rows."""

    code = "first_contact_needed"


class Busy(PeersyncError):
    """A lock was not to be had in time."""

    code = "busy"
    retryable = True


class StorageFailed(PeersyncError):
    """The storage of files failed."""

    code = "storage"
    retryable = True


class CannotPutBack(PeersyncError):
    """The version that the record keeps cannot be put back."""

    code = "cannot_put_back"


class PeerError(PeersyncError):
    """The peer could not be talked to."""

    code = "peer"


class PeerUnreachable(PeerError):
    """The peer refused the connection."""

    code = "unreachable"
    retryable = True


class PeerTimeout(PeerError):
    """The peer did not answer in time."""

    code = "timeout"
    retryable = True


class TlsFailure(PeerError):
    """The TLS connection to the peer failed."""

    code = "tls"


class PeerUnavailable(PeerError):
    """The peer answered that it cannot serve now."""

    code = "unavailable"
    retryable = True


class AnswerCutOff(PeerError):
    """The answer ended before its last record."""

    code = "cut_off"
    retryable = True


class PayloadTooLarge(PeerError):
    """The peer takes smaller bodies only."""

    code = "too_large"
    retryable = True


class NotPeersync(PeerError):
    """The page that answered is not peersync's."""

    code = "not_peersync"


class WrongUrl(PeerError):
    """There is nothing at the peer's URL."""

    code = "wrong_url"


class Redirected(PeerError):
    """The peer's URL redirects."""

    code = "redirected"


class AnswerTooLarge(PeerError):
    """The answer is larger than the bound."""

    code = "answer_too_large"


class Unauthorized(PeerError):
    """The peer does not know the token."""

    code = "unauthorized"


class Forbidden(PeerError):
    """The token does not allow this."""

    code = "forbidden"


class InsecureUrl(PeerError):
    """The token would travel over plain http to another machine."""

    code = "insecure_url"


class ProtocolDiffers(PeerError):
    """The peer speaks another version of the protocol."""

    code = "protocol_differs"
