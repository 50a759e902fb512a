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
    "axes.*",  # failed logins
    "defender.*",
    "django_cron.*",
    "easy_thumbnails.*",  # what a cache holds
    "health_check_db.*",
    "silk.*",
    "thumbnail.*",
    "wagtailsearch.*",  # an index, which a database makes for itself
)
CREDENTIALS = (
    "account.EmailConfirmation",
    "authtoken.*",
    "django_otp_webauthn.*",
    "djstripe.APIKey",
    "drfpasswordless.*",
    "fido2.*",
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
    "rest_framework_api_key.*",
    "sesame.*",
    "social_auth.*",
    "social_django.*",
    "socialaccount.SocialApp",
    "socialaccount.SocialToken",
    "token_blacklist.*",
    "trench.*",
    "two_factor.*",
    "wagtailcore.APIToken",
)
WORK_OF_ONE_INSTANCE = (
    "background_task.*",
    "django_apscheduler.*",
    "django_celery_results.*",
    "django_dramatiq.*",
    "django_q.*",
    "django_rq.*",
    "django_tasks_database.*",
    "django_tasks_db.*",
    "huey_monitor.*",
    "mailer.*",  # messages that both instances would send
    "post_office.*",
    "procrastinate.*",
)
STAYS = frozenset(name.lower() for name in (*OF_ONE_INSTANCE, *CREDENTIALS, *WORK_OF_ONE_INSTANCE))


def stays_home(app_label: str, model_name: str) -> bool:
    """Whether a pattern with a ``*`` passes the model by."""
    app = app_label.lower()
    return app == OURS or f"{app}.*" in STAYS or f"{app}.{model_name.lower()}" in STAYS
