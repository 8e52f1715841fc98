"""Code and data that builds are made of: pinned by the operator (`resolve`), fetched by pods as they were (`fetch`)."""
