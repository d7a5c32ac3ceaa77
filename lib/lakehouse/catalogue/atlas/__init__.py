"""The catalogue in an Apache Atlas, by its REST API: tables, columns, runs, what is personal, and which is made of which.

types      what our entities are, as Atlas wants it said
entities   the model as entities of these types
server     the one who asks Atlas, and what is said where it does not answer
export     the order of it all; a second export of the same changes nothing
"""

from lakehouse.catalogue.atlas.export import Done, export_catalogue
from lakehouse.catalogue.atlas.server import FOLDER

__all__ = ["FOLDER", "Done", "export_catalogue"]
