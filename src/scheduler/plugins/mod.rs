//! The plugins of the default profile, one file per plugin, under their Kubernetes names.
