"""peersync's tables for the contents of files: those that are still to come, and those that are called otherwise here."""

from __future__ import annotations

from django.db import models


class FileWait(models.Model):
    """The contents of a file that a row of the project names, and that have not come yet. Written with the row itself.

    ``fresh``: a peer gave the row this name; until its file has come nobody is given what stands here under that name.
    """

    id = models.BigAutoField(primary_key=True)
    checkpoint = models.ForeignKey("peersync.Checkpoint", on_delete=models.CASCADE, related_name="files")
    model = models.CharField(max_length=200)
    pk_text = models.TextField(help_text="Local primary key.")
    field = models.CharField(max_length=200)
    name = models.TextField(help_text="As it travels.")
    fresh = models.BooleanField(default=False)
    size = models.BigIntegerField(null=True, help_text="Bytes; null before the source has told.")
    digest = models.CharField(max_length=64, default="", help_text="SHA-256 of salt and content, as the source says.")
    reason = models.CharField(max_length=40, default="")
    detail = models.TextField(default="")
    listed = models.BooleanField(default=False, help_text="Something is wrong: it is counted as quarantine.")
    since = models.DateTimeField(auto_now_add=True)
    tried = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = "waiting file"
        constraints = [
            models.UniqueConstraint(fields=["checkpoint", "model", "pk_text", "field"], name="peersync_file_once")
        ]
        indexes = [models.Index(fields=["model", "pk_text"], name="peersync_file_row")]

    def __str__(self) -> str:
        return f"{self.model} {self.pk_text} {self.field}: {self.name}"


class FileScan(models.Model):
    """How far the rows of a model were gone through for files that are missing here although their rows are not."""

    checkpoint = models.ForeignKey("peersync.Checkpoint", on_delete=models.CASCADE, related_name="scans")
    model = models.CharField(max_length=200)
    field = models.CharField(max_length=200)
    after = models.TextField(null=True, help_text="Local primary key; null at the start.")
    done = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["checkpoint", "model", "field"], name="peersync_scan_once")]

    def __str__(self) -> str:
        return f"{self.model}.{self.field}"


class FileName(models.Model):
    """A file of this node's storage that travels under another name: a different file had that one here already."""

    id = models.BigAutoField(primary_key=True)
    model = models.CharField(max_length=200)
    field = models.CharField(max_length=200)
    pk_text = models.TextField(help_text="The row that it was taken in for.")
    name = models.TextField(help_text="As it travels.")
    local = models.TextField(help_text="As this node's storage knows it.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["model", "field", "local"], name="peersync_filename_once")]
        indexes = [models.Index(fields=["model", "field", "pk_text"], name="peersync_filename_row")]

    def __str__(self) -> str:
        return f"{self.model}.{self.field} {self.name}: {self.local}"
