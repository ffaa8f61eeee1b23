"""The numbered changes of the database's shape. A landed number is never edited; a change is a new number."""

from scow.metadata import builds, containers, images, leases, volumes

MIGRATIONS = (
    (1, (*containers.SCHEMA, *images.SCHEMA, *leases.SCHEMA, *volumes.SCHEMA)),
    (2, leases.WITH_RANGES),
    (3, builds.SCHEMA),
    (4, images.WITH_PLATFORMS),
)
