//! Labels and selectors.

use super::{LowerError, Lowered};
use crate::model::cluster::Cluster;
use crate::model::labels::*;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use std::collections::BTreeMap;

/// Labels of an object.
pub fn label_set(cluster: &mut Cluster, labels: Option<&BTreeMap<String, String>>) -> LabelSet {
    let pairs = labels.into_iter().flatten();
    LabelSet::new(pairs.map(|(k, v)| (cluster.names.intern(k), cluster.names.intern(v))).collect())
}

/// A label selector; nil matches nothing.
///
/// # Errors
/// An operator that Kubernetes does not know.
pub fn label_selector(
    cluster: &mut Cluster,
    selector: Option<&meta::LabelSelector>,
) -> Lowered<LabelSelector> {
    let Some(selector) = selector else { return Ok(LabelSelector::Nothing) };
    let mut requirements = equalities(cluster, selector.match_labels.as_ref());
    for expression in selector.match_expressions.iter().flatten() {
        let operator = match expression.operator.as_str() {
            "In" => LabelOperator::In,
            "NotIn" => LabelOperator::NotIn,
            "Exists" => LabelOperator::Exists,
            "DoesNotExist" => LabelOperator::DoesNotExist,
            other => {
                return Err(LowerError::UnknownValue {
                    path: "labelSelector.matchExpressions.operator",
                    value: other.to_owned(),
                    expected: "In, NotIn, Exists, DoesNotExist",
                });
            }
        };
        requirements.push(requirement(
            cluster,
            &expression.key,
            operator,
            expression.values.iter().flatten(),
        ));
    }
    Ok(LabelSelector::Requirements(requirements.into()))
}

/// `matchLabels`, or the plain map selector of a Service, as requirements.
pub(super) fn equalities(
    cluster: &mut Cluster,
    labels: Option<&BTreeMap<String, String>>,
) -> Vec<LabelRequirement> {
    labels
        .into_iter()
        .flatten()
        .map(|(key, value)| requirement(cluster, key, LabelOperator::In, std::iter::once(value)))
        .collect()
}

pub(super) fn requirement<'a>(
    cluster: &mut Cluster,
    key: &str,
    operator: LabelOperator,
    values: impl Iterator<Item = &'a String>,
) -> LabelRequirement {
    let mut values: Vec<_> = values.map(|v| cluster.names.intern(v)).collect();
    values.sort_unstable();
    values.dedup();
    LabelRequirement { key: cluster.names.intern(key), operator, values: values.into() }
}

/// `matchLabelKeys` and `mismatchLabelKeys`: the API server merges the pod's own values into the selector.
pub(super) fn merge_label_keys(
    cluster: &mut Cluster,
    selector: LabelSelector,
    pod_labels: Option<&BTreeMap<String, String>>,
    keys: Option<&Vec<String>>,
    operator: LabelOperator,
) -> LabelSelector {
    let LabelSelector::Requirements(requirements) = selector else { return selector };
    let mut requirements = requirements.into_vec();
    for key in keys.into_iter().flatten() {
        if let Some(value) = pod_labels.and_then(|labels| labels.get(key)) {
            let merged = requirement(cluster, key, operator, std::iter::once(value));
            if !requirements.contains(&merged) {
                requirements.push(merged);
            }
        }
    }
    LabelSelector::Requirements(requirements.into())
}

/// A node selector.
///
/// # Errors
/// An operator that Kubernetes does not know.
pub fn node_selector(cluster: &mut Cluster, selector: &core::NodeSelector) -> Lowered<NodeSelector> {
    let terms = selector.node_selector_terms.iter().map(|term| node_selector_term(cluster, term));
    Ok(NodeSelector { terms: terms.collect::<Lowered<_>>()? })
}

pub(super) fn node_selector_term(
    cluster: &mut Cluster,
    term: &core::NodeSelectorTerm,
) -> Lowered<NodeSelectorTerm> {
    let mut lower = |list: &Option<Vec<core::NodeSelectorRequirement>>| {
        list.iter().flatten().map(|r| node_requirement(cluster, r)).collect::<Lowered<Box<[_]>>>()
    };
    Ok(NodeSelectorTerm { expressions: lower(&term.match_expressions)?, fields: lower(&term.match_fields)? })
}

fn node_requirement(cluster: &mut Cluster, r: &core::NodeSelectorRequirement) -> Lowered<NodeRequirement> {
    let operator = match r.operator.as_str() {
        "In" => NodeOperator::In,
        "NotIn" => NodeOperator::NotIn,
        "Exists" => NodeOperator::Exists,
        "DoesNotExist" => NodeOperator::DoesNotExist,
        "Gt" => NodeOperator::Gt,
        "Lt" => NodeOperator::Lt,
        other => {
            return Err(LowerError::UnknownValue {
                path: "nodeSelectorTerms.operator",
                value: other.to_owned(),
                expected: "In, NotIn, Exists, DoesNotExist, Gt, Lt",
            });
        }
    };
    let values = r.values.iter().flatten().map(|v| cluster.names.intern(v)).collect();
    Ok(NodeRequirement { key: cluster.names.intern(&r.key), operator, values })
}
