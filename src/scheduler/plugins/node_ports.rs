//! NodePorts: two pods cannot have the same host port on one node.

use crate::model::ids::PodId;
use crate::model::names::sym;
use crate::model::spec::HostPort;
use crate::scheduler::cycle_state::CycleState;
use crate::scheduler::framework::*;

/// Kubernetes' name.
pub const NAME: PluginName = "NodePorts";

/// The plugin.
#[derive(Debug, Default)]
pub struct NodePorts;

/// Would `wanted` collide with a port in use? Only `0.0.0.0` is a wildcard; `::` is an address like any other.
pub fn conflicts(wanted: &HostPort, used: &[HostPort]) -> bool {
    used.iter().any(|u| {
        u.port == wanted.port
            && u.protocol == wanted.protocol
            && (u.ip == wanted.ip || u.ip == sym::ANY_IP || wanted.ip == sym::ANY_IP)
    })
}

impl Plugin for NodePorts {
    fn name(&self) -> PluginName {
        NAME
    }
}

impl PreFilterPlugin for NodePorts {
    fn pre_filter(&self, view: View<'_>, pod: PodId, _state: &mut CycleState) -> PreFilter {
        if view.cluster.spec_of(pod).host_ports.is_empty() { PreFilter::Skip } else { PreFilter::Continue }
    }
}

impl FilterPlugin for NodePorts {
    fn filter(&self, view: View<'_>, pod: PodId, _state: &mut CycleState, node: NodeView<'_>) -> Verdict {
        let wanted = &view.cluster.spec_of(pod).host_ports;
        if !wanted.iter().any(|port| conflicts(port, &node.info.used_ports)) {
            return Ok(());
        }
        let text = "node(s) didn't have free ports for the requested pod ports";
        Err(Rejection::text(NAME, Code::Unschedulable, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::names::Names;

    #[test]
    fn wildcards_and_addresses() {
        let mut names = Names::default();
        let mut port = |ip: &str, protocol: &str, port| HostPort {
            ip: if ip.is_empty() { sym::ANY_IP } else { names.intern(ip) },
            protocol: names.intern(protocol),
            port,
        };
        for (wanted, used, want) in [
            (("", "TCP", 80), ("10.0.0.1", "TCP", 80), true),
            (("10.0.0.1", "TCP", 80), ("0.0.0.0", "TCP", 80), true),
            (("127.0.0.1", "TCP", 80), ("10.0.0.1", "TCP", 80), false),
            (("::", "TCP", 80), ("10.0.0.1", "TCP", 80), false),
            (("::", "TCP", 80), ("::", "TCP", 80), true),
            (("", "UDP", 80), ("", "TCP", 80), false),
            (("", "TCP", 81), ("", "TCP", 80), false),
        ] {
            let (w, u) = (port(wanted.0, wanted.1, wanted.2), port(used.0, used.1, used.2));
            assert_eq!(conflicts(&w, &[u]), want, "{wanted:?} {used:?}");
        }
    }
}
