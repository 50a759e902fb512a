"""An app of the label of REST framework's own, which can be loaded before all others only."""
