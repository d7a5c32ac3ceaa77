"""Superset on what gold has published: an environment of its own, a server on this machine, dashboards from conf/superset."""
