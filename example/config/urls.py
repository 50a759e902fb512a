from django.conf import settings
from django.contrib import admin
from django.urls import include, path

admin.site.site_header = f"peersync: {settings.NAME}"

urlpatterns = [
    path("admin/", admin.site.urls),
    path("peersync/", include("peersync_api.urls")),
]
