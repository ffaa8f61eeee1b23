FROM busybox AS base.1
FROM base.1 AS next_2
FROM next_2
