"""A changed application file: AppBuild's pod against buildah, on one machine, with one registry and one base image."""
