from django.contrib import admin

from geo.models import City, Country, Subdivision


@admin.register(Country)
class CountryAdmin(admin.ModelAdmin):
    list_display = ["code", "name", "capital", "currency", "population"]
    search_fields = ["code", "alpha_3", "name"]


@admin.register(Subdivision)
class SubdivisionAdmin(admin.ModelAdmin):
    list_display = ["code", "name", "kind", "country"]
    list_filter = ["kind"]
    search_fields = ["code", "name"]
    autocomplete_fields = ["country", "parent"]


@admin.register(City)
class CityAdmin(admin.ModelAdmin):
    list_display = ["geonameid", "name", "country", "population", "timezone"]
    search_fields = ["name"]
    autocomplete_fields = ["country", "subdivision"]
