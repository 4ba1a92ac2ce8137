"""The kinds of faults, one or two a module, and which of them every run of the tests tries a part of."""

from __future__ import annotations

from tests.faults.kinds.checkpoints import CHECKPOINTS
from tests.faults.kinds.detectors import CLUSTER, DETECTORS
from tests.faults.kinds.edits import FOLDERS
from tests.faults.kinds.flips import FLIPS
from tests.faults.kinds.images import IMAGES
from tests.faults.kinds.interruptions import DISKS, KILLS
from tests.faults.kinds.mutations import MUTATIONS
from tests.faults.kinds.names import NAMES

KINDS = {
    kind.name: kind
    for kind in (
        IMAGES, *FLIPS, KILLS, DISKS, FOLDERS, CHECKPOINTS, DETECTORS, CLUSTER, NAMES, MUTATIONS
    )
}  # fmt: skip
# A cluster, and every output of a run, take long to make: tests/bench has one of each in every run.
TOGETHER = [name for name in KINDS if name not in (CLUSTER.name, NAMES.name)]
