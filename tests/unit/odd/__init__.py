"""An app of models that the checks have something to say about. No tables: the checks ask no database."""
