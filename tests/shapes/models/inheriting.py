"""Three levels of tables, and a second child of one parent."""

from django.db import models


class Named(models.Model):
    """Abstract: leaves its columns in each of its heirs."""

    text = models.CharField(max_length=100)
    value = models.CharField(max_length=100, default="")

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.pk} {self.text}"


class Place(Named):
    town = models.CharField(max_length=50, default="")


class Restaurant(Place):
    stars = models.IntegerField(null=True, blank=True)


class Pizzeria(Restaurant):
    ovens = models.IntegerField(default=1)


class Cafe(Place):
    """Its link to the parent has a name of its own."""

    where = models.OneToOneField(Place, on_delete=models.CASCADE, parent_link=True, related_name="as_cafe")
    beans = models.JSONField(default=list, blank=True)
