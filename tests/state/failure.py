"""What a test of histories fails with."""


class Failure(AssertionError):
    """A promise is broken. `kind` is what a shrunk history must break alike."""

    def __init__(self, kind: str, detail: object = "") -> None:
        self.kind, self.detail = kind, str(detail)
        super().__init__(f"{kind}: {detail}")
