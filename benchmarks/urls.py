"""The server's side of the measurements over HTTP."""

from django.urls import include, path

urlpatterns = [path("peersync/", include("peersync_api.urls"))]
