  FROM busybox
	RUN a
