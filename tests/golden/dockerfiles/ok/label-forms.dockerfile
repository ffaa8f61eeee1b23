FROM busybox
LABEL a=1
LABEL "com.example.vendor"="ACME" version='1.0'
LABEL description="text \
over lines"
LABEL old form
