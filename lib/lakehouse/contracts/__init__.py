"""What every table promises, as data: `conf/contracts/<layer>/<table>.yml`, in the words of the Open Data Contract Standard.

model   a contract: columns, key, references, grain, policies
types   the one table of types: Postgres, Spark, the staged form
load    reads the folder, and names every fault with file and line
"""

from lakehouse.contracts.load import Contracts, load_beside, load_contracts, resource_folder
from lakehouse.contracts.model import LAYERS, NAME, Column, Contract, Layer

__all__ = [
    "LAYERS",
    "NAME",
    "Column",
    "Contract",
    "Contracts",
    "Layer",
    "load_beside",
    "load_contracts",
    "resource_folder",
]
