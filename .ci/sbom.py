"""Read an SBOM of cyclonedx-py and write what of it holds everywhere: which release of what, by its URL.

Hashes stand in the lock; where a machine fetched its packages, and the text of the lock, are left out.
"""

from __future__ import annotations

import json
import sys

document = json.load(sys.stdin)
components = sorted(document["components"], key=lambda component: component["purl"])
document["components"] = [
    {"bom-ref": part["purl"], **{key: part[key] for key in ("name", "purl", "type", "version")}}
    for part in components
]
root = document["metadata"]["component"]
root.pop("externalReferences", None)
for tool in document["metadata"]["tools"]["components"]:
    for key in ("description", "externalReferences", "licenses"):
        tool.pop(key, None)
document["dependencies"] = [
    {"ref": root["bom-ref"], "dependsOn": [part["bom-ref"] for part in document["components"]]}
]
json.dump(document, sys.stdout, indent=1, sort_keys=True)
print()
