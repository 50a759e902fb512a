from django.urls import include, path

urlpatterns = [path("peersync/", include("peersync_api.urls"))]
