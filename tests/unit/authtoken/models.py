from django.db import models


class Token(models.Model):
    key = models.CharField(max_length=40, primary_key=True)

    def __str__(self) -> str:
        return "a token"
