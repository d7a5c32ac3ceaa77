"""`make audit`: known weaknesses of what the locks pin, secrets in files that git knows, licences, and a list of parts.

The list is dist/sbom.json, in the form of CycloneDX 1.5 (https://cyclonedx.org/docs/1.5/json/): packages of every lock,
jars, and Go modules. Ends with 0 where nothing was found, with 1 where something was, and with 3 where the service of
advisories did not answer, or not about every package, so that silence is never taken for safety.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from importlib.metadata import distributions

from tools.audit.parts import Part, jars, modules, packages
from tools.setup.environment import Beside
from tools.setup.machine import ROOT, exit_with_sentence

REQUIREMENTS = ROOT / "conf" / "requirements"
LOCKS = ("jobs", "airflow", "atlas", "benchmarks", "dbt", "docs", "features", "minio", "superset", "audit")
AUDIT = Beside("audit", "audit", "the audit", "30 MB of downloads")
SBOM = ROOT / "dist" / "sbom.json"
BASELINE = ROOT / "conf" / "secrets.baseline"
JARS = tuple(ROOT / "conf" / f"{name}.txt" for name in ("jars", "live-jars", "live-spark-jars", "atlas/war"))
FOUND, UNKNOWN = 1, 3
MOST_NAMED = 5


def main() -> None:
    AUDIT.make()
    licences = installed_licences()
    write_sbom([p for name in LOCKS for p in packages(REQUIREMENTS / f"{name}.lock")], licences)
    print(f"Parts: {SBOM.relative_to(ROOT)}")
    for licence, n in Counter(licences.values()).most_common():
        print(f"  {n:4}  {licence}")
    sys.exit(max(_advisories(), _secrets(), key=(0, UNKNOWN, FOUND).index))


def installed_licences() -> dict[str, str]:
    """The licence of each package of .venv, in its own words, by its name."""
    found = {}
    for each in distributions():
        about = each.metadata
        classes = [c.rpartition(" :: ")[2] for c in about.get_all("Classifier") or () if c.startswith("License ::")]
        words = about.get("License-Expression") or ", ".join(classes) or (about.get("License") or "not said").strip()
        found[str(about["Name"]).lower().replace("_", "-")] = words.splitlines()[0][:80]
    return found


def write_sbom(parts: list[Part], licences: dict[str, str]) -> None:
    """dist/sbom.json: each part once, with its hashes and its licence where that is known."""
    components = {}
    for part in [*parts, *(p for file in JARS for p in jars(file)), *modules()]:
        components[part.purl] = {
            "type": "library",
            "bom-ref": part.purl,
            "name": part.name,
            "version": part.version,
            "purl": part.purl,
            "hashes": [{"alg": "SHA-256", "content": h} for h in part.hashes],
            **({"licenses": [{"license": {"name": licences[part.name]}}]} if part.name in licences else {}),
        }
    SBOM.parent.mkdir(exist_ok=True)
    content = {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
               "components": [components[purl] for purl in sorted(components)]}  # fmt: skip
    SBOM.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _advisories() -> int:
    worst = 0
    for name in LOCKS:
        words = [AUDIT.folder / "bin" / "pip-audit", "--disable-pip", "--require-hashes", "--progress-spinner=off"]
        done = subprocess.run(
            [*words, "--format=json", "--requirement", REQUIREMENTS / f"{name}.lock"], capture_output=True, text=True
        )
        code, said = verdict(done.stdout, done.stderr)
        print(f"{name}.lock: {said}")
        worst = max(worst, code, key=(0, UNKNOWN, FOUND).index)
    return worst


def verdict(out: str, err: str) -> tuple[int, str]:
    """What an audit found, as a code and in words."""
    try:
        checked = json.loads(out)["dependencies"]
    except (ValueError, KeyError):
        last = next((line for line in reversed(err.splitlines()) if line.strip()), "it said nothing")
        return UNKNOWN, f"the service of advisories did not answer, so nothing is known ({last[:200]})"
    weak = [f"{d['name']} {d['version']} ({', '.join(v['id'] for v in d['vulns'])})" for d in checked if d.get("vulns")]
    silent = [d["name"] for d in checked if "skip_reason" in d]
    if len(silent) == len(checked):
        return UNKNOWN, f"the service of advisories knows none of its {len(checked)} packages, so nothing is known"
    unasked = f"; the service does not know {', '.join(silent[:MOST_NAMED])}" if silent else ""
    unasked += f" and {len(silent) - MOST_NAMED} more" if len(silent) > MOST_NAMED else ""
    if weak:
        return FOUND, f"known weaknesses in {'; '.join(weak)}{unasked}"
    return (UNKNOWN if silent else 0), f"none known in {len(checked) - len(silent)} packages{unasked}"


def _secrets() -> int:
    """Files that git knows, by detect-secrets; what was looked at and is none is in the baseline."""
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    words = [AUDIT.folder / "bin" / "detect-secrets-hook", "--baseline", BASELINE]
    done = subprocess.run([*words, *filter(None, files.split("\0"))], cwd=ROOT, capture_output=True, text=True)
    print("Secrets: " + ("none in files that git knows" if done.returncode == 0 else f"\n{done.stdout.strip()}"))
    return FOUND if done.returncode else 0


if __name__ == "__main__":
    exit_with_sentence(main)
