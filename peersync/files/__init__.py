"""The contents of files: which are still to come (``waits``), read here (``reading``), and taken in (``storing``)."""
