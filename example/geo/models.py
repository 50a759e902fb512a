"""Real data with keys of its own: ISO 3166 and GeoNames number the rows alike everywhere."""

from django.db import models


class Country(models.Model):
    code = models.CharField("ISO 3166-1 alpha-2", max_length=2, primary_key=True)
    name = models.CharField(max_length=200)
    alpha_3 = models.CharField("ISO 3166-1 alpha-3", max_length=3, unique=True)
    capital = models.CharField(max_length=200, blank=True, default="")
    currency = models.CharField(max_length=3, blank=True, default="")
    population = models.BigIntegerField(null=True, blank=True)
    internal_note = models.TextField(blank=True, default="", help_text="Excluded: it never leaves this instance.")

    class Meta:
        ordering = ["code"]
        verbose_name_plural = "countries"

    def __str__(self) -> str:
        return self.name


class Subdivision(models.Model):
    code = models.CharField("ISO 3166-2", max_length=10, primary_key=True)
    country = models.ForeignKey(Country, on_delete=models.CASCADE, related_name="subdivisions")
    parent = models.ForeignKey("self", on_delete=models.CASCADE, null=True, blank=True, related_name="parts")
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=100, blank=True, default="")

    class Meta:
        ordering = ["code"]

    def __str__(self) -> str:
        return f"{self.name} ({self.code})"


class City(models.Model):
    geonameid = models.BigIntegerField(primary_key=True)
    name = models.CharField(max_length=200)
    country = models.ForeignKey(Country, on_delete=models.CASCADE, related_name="cities")
    subdivision = models.ForeignKey(
        Subdivision, on_delete=models.SET_NULL, null=True, blank=True, related_name="cities"
    )
    latitude = models.DecimalField(max_digits=8, decimal_places=5)
    longitude = models.DecimalField(max_digits=8, decimal_places=5)
    population = models.BigIntegerField(default=0)
    timezone = models.CharField(max_length=60, blank=True, default="")
    updated = models.DateTimeField()

    class Meta:
        ordering = ["name", "geonameid"]
        verbose_name_plural = "cities"

    def __str__(self) -> str:
        return self.name
