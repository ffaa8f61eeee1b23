FROM busybox
MAINTAINER A Person <a@example.com>
