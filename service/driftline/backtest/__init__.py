"""History through the very same stages: files in, signals, requests and delays out."""
