from busybox as base
run a
copy a b
