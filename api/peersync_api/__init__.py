"""The HTTP face of peersync: a thin server in front of a database replica."""
