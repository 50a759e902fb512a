"""peersync's own tables. Everything that merging needs to know stands here; nothing is kept in memory only.

JSON is kept as text: the engine reads and writes these tables with plain SQL, on databases without a JSON type too.
"""

from __future__ import annotations

from django.db import models

from peersync.file_models import FileName, FileScan, FileWait

__all__ = ["FileName", "FileScan", "FileWait"]


class Node(models.Model):
    """One row: who this database is. Locked by whoever numbers or applies: one at a time."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    node = models.CharField(max_length=36, help_text="Renewed when the history was rewound or copied.")
    install = models.CharField(max_length=36, help_text="Made at the first migrate, kept over renewals.")
    secret = models.CharField(max_length=64, help_text="Signs the nonces; never leaves this database.")
    last_seq = models.BigIntegerField(default=0)
    pruned_seq = models.BigIntegerField(default=0, help_text="The highest place whose tombstone was pruned.")
    readers = models.TextField(default="[]", help_text="JSON: ids of those who ever took a snapshot from here.")
    retired = models.TextField(default="[]", help_text="JSON: ids given up, and up to where each holds.")
    fingerprints = models.TextField(
        default="{}", help_text="JSON: {label: whether it is synchronised}, where signals capture."
    )
    place = models.CharField(max_length=200, default="", help_text="Cluster and database, a hint that this is a copy.")
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "node"
        verbose_name_plural = "node"

    def __str__(self) -> str:
        return self.node


class Baseline(models.Model):
    """A first contact of a model with the install, without a filter, was completed into here."""

    model = models.CharField(max_length=200)
    install = models.CharField(max_length=36)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["model", "install"], name="peersync_baseline_once")]

    def __str__(self) -> str:
        return f"{self.model} of {self.install}"


class Origin(models.Model):
    """What a row is called on every node whose model has ``IDENTITY`` ``"origin"``; a row may have several names.

    Rows that stood here before they were first captured need no entry, unless they have another name than theirs here.
    """

    id = models.BigAutoField(primary_key=True)
    model = models.CharField(max_length=200)
    local = models.BigIntegerField(help_text="The primary key here.")
    origin = models.CharField(
        max_length=36, help_text="Its mark of birth, or what the rows that stood before are called."
    )
    there = models.BigIntegerField(help_text="The primary key where the row was born.")
    main = models.BooleanField(default=True, help_text="The name under which it is sent.")
    base = models.BooleanField(default=False, help_text="It stood somewhere before it was captured: it has no mark.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["model", "origin", "there"], name="peersync_origin_once")]
        indexes = [
            models.Index(fields=["model", "local"], name="peersync_origin_local"),
            models.Index(fields=["model"], condition=models.Q(main=False), name="peersync_origin_others"),
            models.Index(fields=["model", "there"], condition=models.Q(base=True), name="peersync_origin_base"),
        ]

    def __str__(self) -> str:
        return f"{self.model} {self.local}: {self.origin} {self.there}"


class OriginBase(models.Model):
    """What the rows of a model are called that stood here before, and with whom that was agreed."""

    model = models.CharField(max_length=200, unique=True)
    name = models.CharField(max_length=36, null=True, help_text="Null: not agreed with anybody; empty: shared by all.")
    met = models.TextField(
        default="{}", help_text="JSON: {install: [how the rows are matched, what it calls its own]}."
    )

    def __str__(self) -> str:
        return f"{self.model}: {self.name}"


class Journal(models.Model):
    """Where capture notes that a row changed, in the writer's own transaction. Appended to, and emptied by numbering."""

    id = models.BigAutoField(primary_key=True)
    model = models.CharField(max_length=200)
    pk_text = models.TextField()
    what = models.CharField(max_length=1, help_text="b: born, c: changed, g: gone")
    stamp = models.BigIntegerField(help_text="ms since the epoch")
    before = models.TextField(null=True, help_text="JSON: the identity columns before the change; at a birth its mark.")
    fields = models.TextField(
        null=True, help_text="JSON: the columns that were changed, for policies that look at them; null: not known."
    )

    class Meta:
        verbose_name_plural = "journal"

    def __str__(self) -> str:
        return f"{self.model} {self.pk_text} {self.what}"


class RowState(models.Model):
    """One record per row that ever changed. Only numbering passes and applying write it."""

    id = models.BigAutoField(primary_key=True)
    model = models.CharField(max_length=200)
    pk_text = models.TextField()
    own = models.BigIntegerField(null=True)
    changed = models.BooleanField(default=False)
    others = models.TextField(default="{}")
    stamp = models.BigIntegerField(default=0)
    author = models.CharField(max_length=36, default="")
    sender = models.CharField(max_length=36, default="")
    seq = models.BigIntegerField(null=True)
    deleted = models.BooleanField(default=False)
    pre = models.BooleanField(default=False)
    gone = models.BooleanField(default=False)
    key = models.TextField(null=True, help_text="JSON: the wire key that a tombstone had.")
    earlier = models.TextField(null=True, help_text="JSON: [[key, seq, peer that told it], …] that the row had before.")
    fields = models.TextField(
        null=True,
        help_text="JSON: {field: [stamp, author, place]} of the last change of each, for policies that look at them.",
    )
    gaps = models.TextField(null=True, help_text="JSON: what others know of the row, in fields that are not here.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["model", "pk_text"], name="peersync_rowstate_once")]
        indexes = [
            models.Index(fields=["seq"], name="peersync_feed"),
            models.Index(fields=["model"], name="peersync_unnumbered", condition=models.Q(seq__isnull=True)),
            models.Index(fields=["model", "key"], name="peersync_tombstone", condition=models.Q(key__isnull=False)),
            models.Index(fields=["model"], name="peersync_renamed", condition=models.Q(earlier__isnull=False)),
            models.Index(fields=["model"], name="peersync_gaps", condition=models.Q(gaps__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.model} {self.pk_text}"


class NumberingPass(models.Model):
    """The places ``first``…``last`` that one pass gave, and its nonce."""

    first = models.BigIntegerField()
    last = models.BigIntegerField(unique=True)
    nonce = models.CharField(max_length=80)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "numbering passes"

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


class Checkpoint(models.Model):
    """How far this node has consumed the feed of a source. Written in the transaction that writes the rows."""

    source = models.CharField(max_length=36, unique=True, help_text="Node id.")
    install = models.CharField(max_length=36, default="")
    progress = models.TextField(default="{}", help_text="JSON: where the transfer stands, per model.")
    points = models.TextField(default="[]", help_text="JSON: the last sixteen points of the source's history seen.")
    updated = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.source


class Quarantine(models.Model):
    """A row that could not be applied yet. ``listed`` when its transfer ended: until then it only waits."""

    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.CASCADE, related_name="waiting")
    model = models.CharField(max_length=200)
    key = models.TextField()
    row = models.TextField(help_text="JSON: the whole row as it came.")
    seq = models.BigIntegerField(default=0)
    reason = models.CharField(max_length=40)
    detail = models.TextField(default="")
    needs = models.TextField(default="[]", help_text="JSON: [[model, key], …] that it waits for.")
    listed = models.BooleanField(default=False)
    since = models.DateTimeField(auto_now_add=True)
    tried = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name_plural = "quarantine"
        constraints = [models.UniqueConstraint(fields=["checkpoint", "model", "key"], name="peersync_waits_once")]

    def __str__(self) -> str:
        return f"{self.model} {self.key}: {self.reason}"


class Conflict(models.Model):
    """A row that was replaced or deleted although the winner had not seen it: kept whole (P3)."""

    model = models.CharField(max_length=200)
    key = models.TextField()
    pk_text = models.TextField(default="")
    kind = models.CharField(max_length=40)
    policy = models.CharField(max_length=100, default="")
    winner = models.CharField(max_length=10, help_text="local, incoming or merged; empty: nobody yet.")
    source = models.CharField(max_length=36)
    local = models.TextField(null=True, help_text="JSON: {field: value}; null where there was no row.")
    incoming = models.TextField(null=True, help_text="JSON: {field: value}; null for a deletion.")
    local_version = models.TextField(default="{}")
    incoming_version = models.TextField(default="{}")
    cascade = models.TextField(default="[]", help_text="JSON: rows that went with a deletion.")
    open = models.BooleanField(default=False)
    seq = models.BigIntegerField(
        default=0, db_default=0, help_text="Place of the incoming version in its source's feed."
    )
    stamp = models.BigIntegerField(default=0, db_default=0, help_text="The later of the two versions' stamps.")
    at = models.DateTimeField(auto_now_add=True)
    settled = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["model", "key"], name="peersync_conflict_row"),
            models.Index(fields=["model", "pk_text"], name="peersync_conflict_open", condition=models.Q(open=True)),
        ]

    def __str__(self) -> str:
        return f"{self.model} {self.key}: {self.kind}"


class Peer(models.Model):
    """What is known of another node, by its name here: the name in PEERS, the alias, or the name of its token."""

    name = models.CharField(max_length=200, unique=True)
    node = models.CharField(max_length=36, default="", help_text="Under which id it was last met.")
    install = models.CharField(max_length=36, default="")
    told = models.BigIntegerField(default=-1, help_text="How far it has read past in this node's feed.")
    last_contact = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(default="", blank=True)
    failures = models.PositiveIntegerField(default=0)
    lease_holder = models.CharField(max_length=100, default="", blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    poll_holder = models.CharField(max_length=100, default="", db_default="", blank=True)
    poll_until = models.DateTimeField(null=True, blank=True)
    left_out = models.TextField(
        default="{}", db_default="{}", blank=True, help_text="JSON: {pull, push or served: [what one side only has]}."
    )

    def __str__(self) -> str:
        return self.name


class FilterMemory(models.Model):
    """What a peer has of a filtered model. ``place``: -1 in view, -2 out of view, -3 its own, else leaving at that seq."""

    node = models.CharField(max_length=36)
    model = models.CharField(max_length=200)
    pk_text = models.TextField()
    place = models.BigIntegerField(default=-1)

    class Meta:
        verbose_name_plural = "filter memory"
        constraints = [models.UniqueConstraint(fields=["node", "model", "pk_text"], name="peersync_memory_once")]

    def __str__(self) -> str:
        return f"{self.node} {self.model} {self.pk_text}"


class PeerToken(models.Model):
    """A token for a peer that calls us. Only its digest is kept."""

    name = models.CharField(max_length=200)
    digest = models.CharField(max_length=64, unique=True)
    scopes = models.CharField(max_length=100, default="pull,push")
    install = models.CharField(max_length=36, default="", blank=True, help_text="Of the one that used it first.")
    expires = models.DateTimeField(null=True, blank=True)
    revoked = models.DateTimeField(null=True, blank=True)
    created = models.DateTimeField(auto_now_add=True)
    last_used = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name


class Run(models.Model):
    """One transfer that was made, and its figures."""

    peer = models.CharField(max_length=200)
    source = models.CharField(max_length=200)
    target = models.CharField(max_length=200)
    started = models.DateTimeField()
    seconds = models.FloatField(default=0)
    status = models.CharField(max_length=20)
    figures = models.TextField(default="{}")
    error = models.TextField(default="", blank=True)

    def __str__(self) -> str:
        return f"{self.source} → {self.target} {self.started:%Y-%m-%d %H:%M:%S}"


class Applying(models.Model):
    """SQLite's off-switch of capture: a row stands here while our own transaction writes the table that it names."""

    table = models.CharField(max_length=200, primary_key=True)

    class Meta:
        verbose_name_plural = "applying"

    def __str__(self) -> str:
        return self.table


class MissedCapture(models.Model):
    """A model whose trigger was missing or altered for a time: it owes a full comparison with every peer."""

    model = models.CharField(max_length=200, unique=True)
    since = models.DateTimeField(auto_now_add=True)
    reason = models.CharField(max_length=200)
    seq = models.BigIntegerField(default=0, help_text="A comparison from this place on makes it good.")

    class Meta:
        verbose_name_plural = "missed captures"

    def __str__(self) -> str:
        return f"{self.model}: {self.reason}"


class InstalledTrigger(models.Model):
    """A model that ever had triggers here: one that is found without them has lost them, and owes a comparison.

    ``digest``: of the text that was installed; empty since the triggers were taken away on purpose.
    """

    model = models.CharField(max_length=200, unique=True)
    digest = models.CharField(max_length=32, default="")
    since = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.model
