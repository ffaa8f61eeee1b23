"""External OCI runtimes (runc, crun): the second implementation of runtime.contract.Runtime."""
