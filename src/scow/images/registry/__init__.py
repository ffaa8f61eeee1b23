"""The registry client: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md."""
