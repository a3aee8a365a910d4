//! NodeAffinity: nodeSelector, required and preferred node affinity, and the affinity that the profile adds.

use crate::model::ids::{NodeId, PodId};
use crate::model::labels::{
    NodeOperator, NodeRequirement, NodeSelector, NodeSelectorTerm, is_label_value, parse_int64,
};
use crate::model::names::{Names, Sym, sym};
use crate::scheduler::cycle_state::CycleState;
use crate::scheduler::framework::*;
use crate::scheduler::plugins::score::default_normalize;

/// Kubernetes' name.
pub const NAME: PluginName = "NodeAffinity";

/// The pod's own selector or required affinity does not allow the node.
pub const NO_MATCH: &str = "node(s) didn't match Pod's node affinity/selector";

/// `NodeAffinityArgs.addedAffinity`: what every pod of the profile must and would like to meet besides its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeAffinityArgs {
    /// Required.
    pub required: Option<NodeSelector>,
    /// Preferred, with weights.
    pub preferred: Vec<(i32, NodeSelectorTerm)>,
}

/// The plugin.
#[derive(Clone, Debug, Default)]
pub struct NodeAffinity {
    added: NodeAffinityArgs,
}

impl NodeAffinity {
    /// With arguments.
    pub fn new(added: NodeAffinityArgs) -> Self {
        NodeAffinity { added }
    }
}

/// Names of the nodes that the required affinity pins through `metadata.name`.
enum Pinned {
    /// Some term leaves the node open.
    No,
    /// Only these, in bytewise order. None: the terms contradict themselves.
    To(Vec<Sym>),
}

fn pinned_names(selector: &NodeSelector, names: &Names) -> Pinned {
    if selector.terms.is_empty() {
        return Pinned::No;
    }
    let mut all: Vec<Sym> = Vec::new();
    for term in &selector.terms {
        let mut of_term: Option<Vec<Sym>> = None;
        for r in &term.fields {
            if r.key == sym::METADATA_NAME && r.operator == NodeOperator::In {
                of_term = Some(match of_term {
                    None => r.values.to_vec(),
                    Some(before) => before.into_iter().filter(|name| r.values.contains(name)).collect(),
                });
            }
        }
        let Some(of_term) = of_term else { return Pinned::No };
        all.extend(of_term);
    }
    all.sort_by(|a, b| names.compare(*a, *b));
    all.dedup();
    Pinned::To(all)
}

fn preferred_score(terms: &[(i32, NodeSelectorTerm)], view: View<'_>, node: NodeId) -> i64 {
    if terms.is_empty() {
        return 0;
    }
    let (labels, name, names) =
        (view.cluster.node_labels(node), view.cluster.node(node).name, &view.cluster.names);
    terms
        .iter()
        .filter(|(_, term)| term.matches(name, labels, names))
        .map(|(weight, _)| i64::from(*weight))
        .sum()
}

impl Plugin for NodeAffinity {
    fn name(&self) -> PluginName {
        NAME
    }
}

impl PreFilterPlugin for NodeAffinity {
    fn pre_filter(&self, view: View<'_>, pod: PodId, _state: &mut CycleState) -> PreFilter {
        let spec = view.cluster.spec_of(pod);
        let required = spec.affinity.as_ref().and_then(|a| a.node_required.as_ref());
        let Some(required) = required else {
            let nothing = self.added.required.is_none() && spec.node_selector.is_empty();
            return if nothing { PreFilter::Skip } else { PreFilter::Continue };
        };
        match pinned_names(required, &view.cluster.names) {
            Pinned::No => PreFilter::Continue,
            Pinned::To(nodes) if nodes.is_empty() => PreFilter::Reject(Rejection::text(
                NAME,
                Code::UnschedulableAndUnresolvable,
                "pod affinity terms conflict",
            )),
            Pinned::To(nodes) => PreFilter::Nodes(nodes),
        }
    }
}

impl FilterPlugin for NodeAffinity {
    fn filter(&self, view: View<'_>, pod: PodId, _state: &mut CycleState, node: NodeView<'_>) -> Verdict {
        let (labels, names) = (view.cluster.label_set(node.node.labels), &view.cluster.names);
        if self.added.required.as_ref().is_some_and(|added| !added.matches(node.node.name, labels, names)) {
            let text = "node(s) didn't match scheduler-enforced node affinity";
            return Err(Rejection::text(NAME, Code::UnschedulableAndUnresolvable, text));
        }
        if view.cluster.spec_of(pod).allows_node(node.node.name, labels, names) {
            return Ok(());
        }
        Err(Rejection::text(NAME, Code::UnschedulableAndUnresolvable, NO_MATCH))
    }
}

impl ScorePlugin for NodeAffinity {
    fn pre_score(&self, view: View<'_>, pod: PodId, _state: &mut CycleState, _nodes: &[NodeId]) -> PreScore {
        let affinity = view.cluster.spec_of(pod).affinity.as_ref();
        let preferred = affinity.map_or(&[][..], |a| &a.node_preferred);
        if preferred.is_empty() && self.added.preferred.is_empty() {
            return PreScore::Skip;
        }
        match selector_errors(preferred, &view.cluster.names) {
            Some(message) => PreScore::Error(message),
            None => PreScore::Continue,
        }
    }
    fn score(&self, view: View<'_>, pod: PodId, _state: &CycleState, node: NodeId) -> i64 {
        let affinity = view.cluster.spec_of(pod).affinity.as_ref();
        let own = affinity.map_or(0, |a| preferred_score(&a.node_preferred, view, node));
        own + preferred_score(&self.added.preferred, view, node)
    }
    fn normalize(&self, _view: View<'_>, _pod: PodId, _state: &CycleState, scores: &mut [i64]) {
        default_normalize(scores, false);
    }
}

/// Kubernetes' words for malformed preferred terms; `None` if all are well formed. Terms of weight 0 and empty terms are not
/// looked at.
fn selector_errors(terms: &[(i32, NodeSelectorTerm)], names: &Names) -> Option<String> {
    let mut errors: Vec<String> = Vec::new();
    for (t, (weight, term)) in terms.iter().enumerate() {
        if *weight == 0 || term.is_empty() {
            continue;
        }
        for (e, r) in term.expressions.iter().enumerate().filter(|(_, r)| !r.is_valid(names)) {
            errors.extend(requirement_errors(&format!("[{t}].matchExpressions[{e}].values"), r, names));
        }
        for (e, r) in term.fields.iter().enumerate().filter(|(_, r)| !r.is_valid_field()) {
            let path = format!("[{t}].matchFields[{e}]");
            errors.push(match r.operator {
                NodeOperator::In | NodeOperator::NotIn => {
                    let values: Vec<String> =
                        r.values.iter().map(|v| format!("{:?}", names.text(*v))).collect();
                    format!("{path}.values: Invalid value: [{}]: must have one element", values.join(","))
                }
                other => format!(
                    "{path}.operator: Unsupported value: \"{other:?}\": supported values: \"In\", \"NotIn\""
                ),
            });
        }
    }
    join_errors(errors)
}

/// What `labels.NewRequirement` says: about the number of values first, then about each of them.
fn requirement_errors(path: &str, r: &NodeRequirement, names: &Names) -> Vec<String> {
    let values: Vec<&str> = r.values.iter().map(|v| names.text(*v)).collect();
    let quoted: Vec<String> = values.iter().map(|v| format!("{v:?}")).collect();
    // A list is shown as JSON, an absent one as null.
    let list = if quoted.is_empty() { "null".to_owned() } else { format!("[{}]", quoted.join(",")) };
    let mut errors: Vec<String> = Vec::new();
    let mut count = |wrong: bool, text: &str| {
        if wrong {
            errors.push(format!("{path}: Invalid value: {list}: {text}"));
        }
    };
    match r.operator {
        NodeOperator::In | NodeOperator::NotIn => {
            count(values.is_empty(), "for 'in', 'notin' operators, values set can't be empty");
        }
        NodeOperator::Exists | NodeOperator::DoesNotExist => {
            count(!values.is_empty(), "values set must be empty for exists and does not exist");
        }
        NodeOperator::Gt | NodeOperator::Lt => {
            count(values.len() != 1, "for 'Gt', 'Lt' operators, exactly one value is required");
            for (i, value) in values.iter().enumerate().filter(|(_, v)| parse_int64(v).is_none()) {
                errors.push(format!(
                    "{path}[{i}]: Invalid value: {value:?}: for 'Gt', 'Lt' operators, the value must be an integer"
                ));
            }
        }
    }
    for (i, value) in values.iter().enumerate().filter(|(_, v)| !is_label_value(v)) {
        let mut wrong = Vec::new();
        if value.len() > 63 {
            wrong.push("must be no more than 63 bytes");
        }
        if value.split_inclusive(|_| true).any(|c| !is_label_value(&format!("a{c}a")))
            || !has_good_ends(value)
        {
            wrong.push(LABEL_VALUE_RULE);
        }
        let key = names.text(r.key);
        errors.push(format!("{path}[{i}][{key}]: Invalid value: {value:?}: {}", wrong.join("; ")));
    }
    errors
}

fn has_good_ends(value: &str) -> bool {
    let ends = [value.bytes().next(), value.bytes().last()];
    ends.into_iter().flatten().all(|b| b.is_ascii_alphanumeric())
}

const LABEL_VALUE_RULE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start \
     and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
     '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/// Several errors in brackets, each once, as an aggregate shows them.
fn join_errors(all: Vec<String>) -> Option<String> {
    let mut errors: Vec<String> = Vec::new();
    for error in all {
        if !errors.contains(&error) {
            errors.push(error);
        }
    }
    match errors.len() {
        0 => None,
        1 => errors.pop(),
        _ => Some(format!("[{}]", errors.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(names: &mut Names, operator: NodeOperator, values: &[&str]) -> NodeRequirement {
        let values = values.iter().map(|v| names.intern(v)).collect();
        NodeRequirement { key: sym::METADATA_NAME, operator, values }
    }

    #[test]
    fn nodes_pinned_by_name() {
        use NodeOperator::{In, NotIn};
        type Term<'a> = &'a [(NodeOperator, &'a [&'a str])];
        let cases: &[(&[Term<'_>], Option<&[&str]>)] = &[
            (&[], None),
            (&[&[(In, &["b"])]], Some(&["b"])),
            (&[&[(In, &["b"])], &[(In, &["a"])]], Some(&["a", "b"])),
            (&[&[(In, &["b"]), (In, &["a"])]], Some(&[])),
            (&[&[(In, &["b"]), (In, &["a"])], &[(In, &["c"])]], Some(&["c"])),
            (&[&[(In, &["b"])], &[(NotIn, &["a"])]], None),
            (&[&[(In, &["b"])], &[]], None),
        ];
        for (terms, want) in cases {
            let names = &mut Names::default();
            let terms = terms.iter().map(|term| NodeSelectorTerm {
                expressions: Box::default(),
                fields: term.iter().map(|(operator, values)| fields(names, *operator, values)).collect(),
            });
            let selector = NodeSelector { terms: terms.collect() };
            let got = match pinned_names(&selector, names) {
                Pinned::No => None,
                Pinned::To(nodes) => Some(nodes.iter().map(|n| names.text(*n)).collect::<Vec<_>>()),
            };
            assert_eq!(got.as_deref(), *want, "{selector:?}");
        }
    }

    fn generation(names: &mut Names, operator: NodeOperator, value: &str) -> NodeSelectorTerm {
        let (key, value) = (names.intern("gen"), names.intern(value));
        let requirement = NodeRequirement { key, operator, values: Box::new([value]) };
        NodeSelectorTerm { expressions: Box::new([requirement]), fields: Box::default() }
    }

    #[test]
    fn malformed_preferences_are_worded() {
        let names = &mut Names::default();
        let bad = generation(names, NodeOperator::Gt, "1.5");
        let good = generation(names, NodeOperator::Lt, "7");
        let words = "[1].matchExpressions[0].values[0]: Invalid value: \"1.5\": for 'Gt', 'Lt' operators, the value must be an integer";
        assert_eq!(selector_errors(&[(1, good.clone()), (5, bad.clone())], names), Some(words.into()));
        assert_eq!(selector_errors(&[(1, good.clone()), (0, bad)], names), None, "weight 0 is not looked at");
        let (negative, present) =
            (generation(names, NodeOperator::Gt, "-1"), generation(names, NodeOperator::Exists, "x"));
        let words = format!(
            "[[0].matchExpressions[0].values[0][gen]: Invalid value: \"-1\": {LABEL_VALUE_RULE}, \
             [1].matchExpressions[0].values: Invalid value: [\"x\"]: values set must be empty for exists and does not exist]"
        );
        assert_eq!(selector_errors(&[(1, negative), (1, present)], names), Some(words));
    }
    #[test]
    fn values_are_label_values() {
        use NodeOperator::{DoesNotExist, Exists, Gt, In, Lt, NotIn};
        let long = "a".repeat(64);
        let (long_text, rule) = ("must be no more than 63 bytes", LABEL_VALUE_RULE);
        let empty = "for 'in', 'notin' operators, values set can't be empty";
        let exact = "for 'Gt', 'Lt' operators, exactly one value is required";
        let number = "for 'Gt', 'Lt' operators, the value must be an integer";
        let none = "values set must be empty for exists and does not exist";
        let rows: Vec<(NodeOperator, Vec<&str>, Vec<String>)> = vec![
            (In, vec!["a", "A-b_c.9", "", "7"], vec![]),
            (NotIn, vec!["a"], vec![]),
            (Exists, vec![], vec![]),
            (DoesNotExist, vec![], vec![]),
            (Gt, vec!["12"], vec![]),
            (Lt, vec!["0"], vec![]),
            (In, vec![], vec![format!("p: Invalid value: null: {empty}")]),
            (NotIn, vec![], vec![format!("p: Invalid value: null: {empty}")]),
            (Gt, vec![], vec![format!("p: Invalid value: null: {exact}")]),
            (Lt, vec!["1", "2"], vec![format!("p: Invalid value: [\"1\",\"2\"]: {exact}")]),
            (Lt, vec!["x"], vec![format!("p[0]: Invalid value: \"x\": {number}")]),
            (DoesNotExist, vec!["x"], vec![format!("p: Invalid value: [\"x\"]: {none}")]),
            (In, vec![&long[1..]], vec![]),
            (In, vec![&long], vec![format!("p[0][gen]: Invalid value: {long:?}: {long_text}")]),
            (In, vec!["ok", "a b"], vec![format!("p[1][gen]: Invalid value: \"a b\": {rule}")]),
            (In, vec!["-a"], vec![format!("p[0][gen]: Invalid value: \"-a\": {rule}")]),
            (In, vec!["a."], vec![format!("p[0][gen]: Invalid value: \"a.\": {rule}")]),
        ];
        for (operator, values, want) in rows {
            let names = &mut Names::default();
            let key = names.intern("gen");
            let values = values.iter().map(|value| names.intern(value)).collect();
            let requirement = NodeRequirement { key, operator, values };
            assert_eq!(requirement_errors("p", &requirement, names), want, "{operator:?}");
        }
        let full = format!("{}-", "a".repeat(62));
        let names = &mut Names::default();
        let requirement = NodeRequirement {
            key: names.intern("gen"),
            operator: In,
            values: Box::new([names.intern(&full)]),
        };
        let want = format!("p[0][gen]: Invalid value: {full:?}: {rule}");
        assert_eq!(requirement_errors("p", &requirement, names), [want], "63 bytes are not too many");
        let both = format!("{}-", "a".repeat(63));
        let names = &mut Names::default();
        let requirement = NodeRequirement {
            key: names.intern("gen"),
            operator: In,
            values: Box::new([names.intern(&both)]),
        };
        let want = format!("p[0][gen]: Invalid value: {both:?}: {long_text}; {rule}");
        assert_eq!(requirement_errors("p", &requirement, names), [want]);
    }
}
