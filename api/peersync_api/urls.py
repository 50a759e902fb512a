"""``path("peersync/", include("peersync_api.urls"))``: nothing else is needed, not even in INSTALLED_APPS.

With SECURE_SSL_REDIRECT a call over plain http is redirected before it comes here; give peers the https URL.
"""

from __future__ import annotations

from django.urls import path, re_path

from peersync_api import views

app_name = "peersync_api"

urlpatterns = [
    path("v1/", views.DescribeView.as_view(), name="describe"),
    path("v1/snapshot/<str:model>/", views.SnapshotView.as_view(), name="snapshot"),
    path("v1/changes/", views.ChangesView.as_view(), name="changes"),
    path("v1/checkpoint/", views.CheckpointView.as_view(), name="checkpoint"),
    path("v1/digests/<str:model>/", views.DigestsView.as_view(), name="digests"),
    path("v1/rows/<str:model>/", views.RowsView.as_view(), name="rows"),
    path("v1/files/wanted/", views.FilesWantedView.as_view(), name="files-wanted"),
    path("v1/files/offered/", views.FilesOfferedView.as_view(), name="files-offered"),
    path("v1/files/content/<int:number>/<int:offset>/", views.FileReceivedView.as_view(), name="file-received"),
    path("v1/files/<str:model>/", views.FilesView.as_view(), name="files"),
    path("v1/files/<str:model>/content/", views.FileContentView.as_view(), name="file-content"),
    path("v1/health/", views.HealthView.as_view(), name="health"),
    path("v1/schema/", views.SchemaView.as_view(), name="schema"),
    path("v1/docs/", views.DocsView.as_view(), name="docs"),
    re_path(r"^v[0-9]+(?:/.*)?\Z", views.NotFoundView.as_view(), name="not-found"),
]
