"""The catalogue: what every table is, where it comes from, which rules it must meet and how it stands.

standing   what the ledger says of tables: versions, verdicts, runs
model      one model, made of contracts, suites, transforms and the ledger
lineage    which table is made of which, and the picture of it
page       the model as a page
views      published versions as a DuckDB file of views
atlas      the model as entities of an Apache Atlas
"""

from lakehouse.catalogue.model import Catalogue, catalogue
from lakehouse.catalogue.page import page_of

# Where it lies among the Data Docs.
NAME = "catalogue/index.html"

__all__ = ["NAME", "Catalogue", "catalogue", "page_of"]
