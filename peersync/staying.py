"""Models that stay home unless MODELS names them exactly: what belongs to one instance, and what opens doors.

Names are those of the packages' own app labels; a package that is not installed costs nothing.
"""

from __future__ import annotations

OURS = "peersync"
"""These tables say who a database is: they travel never."""

OF_ONE_INSTANCE = (
    "admin.*",  # who clicked where
    "migrations.*",
    "sessions.*",
    "user_sessions.*",
    "usersessions.*",  # allauth's
    "axes.*",  # failed logins
    "defender.*",
    "captcha.*",  # answers that this instance waits for
    "easyaudit.LoginEvent",
    "easyaudit.RequestEvent",
    "openid.*",  # allauth's: associations and nonces
    "request.*",  # who visited
    "silk.*",
    "wagtailadmin.EditingSession",  # who has a page open now
    "wagtailadmin.FormState",
    "wagtailcore.UploadedFile",  # an upload that is not finished
)
CACHES = (
    "cms.UrlconfRevision",  # tells the processes of one instance to load their addresses again
    "db.TestModel",  # django-health-check's
    "easy_thumbnails.*",
    "health_check_db.*",
    "menus.CacheKey",
    "thumbnail.*",
    "wagtailembeds.*",
    "wagtailimages.Rendition",  # a file is made for each, where it is asked for
    "wagtailsearch.*",  # an index, which a database makes for itself
)
CREDENTIALS = (
    "account.EmailConfirmation",
    "allauth_idp_oidc.*",
    "authtoken.*",
    "django_otp_webauthn.*",
    "djstripe.APIKey",
    "djstripe.WebhookEndpoint",
    "drfpasswordless.*",
    "durin.*",
    "django_fido.*",
    "kagi.*",
    "knox.*",
    "mfa.*",
    "oauth2_provider.*",
    "oidc_provider.*",
    "otp_email.*",
    "otp_hotp.*",
    "otp_static.*",
    "otp_totp.*",
    "otp_twilio.*",
    "otp_yubikey.*",
    "passkeys.*",
    "phonenumber.PhoneDevice",  # two_factor's
    "rest_framework_api_key.*",
    "social_auth.*",
    "social_django.*",
    "socialaccount.SocialApp",
    "socialaccount.SocialToken",
    "token_blacklist.*",
    "trench.*",
    "two_factor.*",
    "two_factor_webauthn.*",
    "wagtailcore.APIToken",
)
WORK_OF_ONE_INSTANCE = (
    "background_task.*",
    "django_apscheduler.*",
    "django_celery_beat.*",  # what one instance does by the clock both would do, and both note when they did
    "django_celery_results.*",
    "django_cron.*",
    "django_dramatiq.*",
    "django_q.*",
    "django_rq.*",
    "django_tasks_database.*",
    "django_tasks_db.*",
    "djstripe.IdempotencyKey",
    "djstripe.WebhookEventTrigger",
    "huey_monitor.*",
    "mailer.Message",  # both instances would send it
    "mailer.MessageLog",
    "post_office.Attachment",
    "post_office.Email",
    "post_office.Log",
    "procrastinate.*",
)
_ALL = (*OF_ONE_INSTANCE, *CACHES, *CREDENTIALS, *WORK_OF_ONE_INSTANCE)
STAYS = frozenset(name.lower() for name in _ALL)


def stays_home(app_label: str, model_name: str) -> bool:
    """Whether a pattern with a ``*`` passes the model by."""
    app = app_label.lower()
    return app == OURS or f"{app}.*" in STAYS or f"{app}.{model_name.lower()}" in STAYS
