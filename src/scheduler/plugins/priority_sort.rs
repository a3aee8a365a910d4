//! PrioritySort: higher priority first, then the pod that was queued earlier.

use crate::engine::time::SimTime;
use std::cmp::Ordering;

/// Kubernetes' name.
pub const NAME: &str = "PrioritySort";

/// Order of two queued pods given as (priority, time of queueing): `Less` means that `a` goes first. Equal ones are taken in
/// the queue's own order.
pub fn compare(a: (i32, SimTime), b: (i32, SimTime)) -> Ordering {
    b.0.cmp(&a.0).then(a.1.cmp(&b.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priority_then_time() {
        let at = SimTime::from_secs;
        assert_eq!(compare((10, at(2)), (5, at(1))), Ordering::Less);
        assert_eq!(compare((-1, at(1)), (0, at(2))), Ordering::Greater);
        assert_eq!(compare((5, at(1)), (5, at(2))), Ordering::Less);
        assert_eq!(compare((5, at(1)), (5, at(1))), Ordering::Equal);
    }
}
