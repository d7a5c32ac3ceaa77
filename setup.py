"""The package: lib/lakehouse with its contracts and suites, and the sample shops.

Contracts and expectations stay at the top of the repository, where people look for them, and are mapped into the
package so that a wheel or a zip carries them. An editable install does not see mapped folders and reads them in place.
What the package needs is not repeated here: conf/requirements/jobs.lock is the environment.
"""

import re
from pathlib import Path

from setuptools import find_namespace_packages, setup

ROOT = Path(__file__).parent
MAPPED = {
    "lakehouse.conf.contracts": "conf/contracts",
    "lakehouse.conf.postgres": "conf/postgres",
    "lakehouse.expectations": "expectations",
}


def version() -> str:
    source = (ROOT / "lib/lakehouse/__init__.py").read_text(encoding="utf-8")
    return re.search(r'^__version__ = "(.+)"$', source, re.MULTILINE).group(1)


def mapped_packages() -> list[str]:
    """Each mapped folder and its sub-folders, as setuptools wants them: as packages that hold only data."""
    found = []
    for package, folder in MAPPED.items():
        if (ROOT / folder).is_dir():
            found += [package, *(f"{package}.{room}" for room in find_namespace_packages(str(ROOT / folder)))]
    return found


setup(
    name="lakehouse",
    version=version(),
    description="An open-source e-commerce lakehouse: a shop's day from Postgres to gold, with PySpark and Delta",
    license="Apache-2.0",
    python_requires=">=3.11,<3.14",
    packages=[
        *find_namespace_packages("lib", include=["lakehouse", "lakehouse.*"]),
        *find_namespace_packages(".", include=["samples", "samples.*"]),
        *mapped_packages(),
    ],
    package_dir={"": "lib", "samples": "samples", **MAPPED},
    package_data={"": ["**/*"]},
    exclude_package_data={"": ["**/__pycache__/*", "*.pyc"]},
    entry_points={
        "console_scripts": ["lakehouse = lakehouse.cli:main"],
        "lakehouse.samples": ["foodmart = samples.foodmart:SHOP", "online_retail = samples.online_retail:SHOP"],
    },
)
