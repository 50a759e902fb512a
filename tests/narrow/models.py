from django.db import models


class Every(models.Model):
    """Some columns of ``typed.Every``, narrower."""

    char = models.CharField(max_length=5, null=True)
    amount = models.DecimalField(max_digits=12, decimal_places=1, null=True)
    integer = models.SmallIntegerField(null=True)
    text = models.TextField(null=True)

    def __str__(self) -> str:
        return f"every {self.pk}"
