"""Keep the models of two running Django instances equal, over HTTP or into a second database."""

__version__ = "0.1.0"
