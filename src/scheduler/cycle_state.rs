//! What plugins computed for the pod at hand: one typed field per plugin, reused between pods.

/// State of one scheduling cycle. Every plugin that needs one adds a field of its own type here; nobody reads another's.
#[derive(Clone, Debug, Default)]
pub struct CycleState {}
