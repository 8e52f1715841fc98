"""OCI images without a daemon or privileges: layers, assembly by manifest, push over the distribution API.

Importing this package is cheap; take what you need from its modules: `reference`, `oci`, `layer`, `registry_client`,
`assemble`, `base`, `project` (the project's own images) and `build_app` (what the Job of an AppBuild runs).
"""
