//! Names, labels and selectors.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{NodeSelector, NodeSelectorRequirement};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::manifest::field::{Check, Field};

/// A DNS-1123 label, or with `dots` a subdomain.
pub fn dns_name(name: &str, longest: usize, dots: bool) -> Result<(), &'static str> {
    let label = |part: &str| {
        let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && edge(part.bytes().next())
            && edge(part.bytes().last())
    };
    if name.len() > longest {
        return Err("too long");
    }
    let ok = if dots { name.split('.').all(label) } else { label(name) };
    if ok {
        Ok(())
    } else if dots {
        Err("expected lower case letters, digits, `-` and `.`, beginning and ending with a letter or digit")
    } else {
        Err("expected lower case letters, digits and `-`, beginning and ending with a letter or digit")
    }
}

/// A label's key: an optional DNS prefix and `/`, then a name of at most 63 characters.
pub fn qualified_name(key: &str) -> Result<(), &'static str> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if prefix.is_some_and(|p| dns_name(p, 253, true).is_err()) {
        return Err("the part before `/` must be a DNS name");
    }
    if name.is_empty() {
        return Err("may not be empty");
    }
    label_text(name)
}

/// A label's value: empty, or at most 63 letters, digits, `-`, `_`, `.`.
pub fn label_value(value: &str) -> Result<(), &'static str> {
    if value.is_empty() { Ok(()) } else { label_text(value) }
}

fn label_text(text: &str) -> Result<(), &'static str> {
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    let inner = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if text.len() > 63 {
        Err("at most 63 characters")
    } else if inner && edge(text.bytes().next()) && edge(text.bytes().last()) {
        Ok(())
    } else {
        Err("expected letters, digits, `-`, `_` and `.`, beginning and ending with a letter or digit")
    }
}

/// Labels of an object or a template.
pub fn labels(check: &mut Check<'_>, labels: Option<&BTreeMap<String, String>>, field: &Field<'_>) {
    for (key, value) in labels.into_iter().flatten() {
        if let Err(why) = qualified_name(key) {
            check.invalid(field, key, why);
        }
        if let Err(why) = label_value(value) {
            check.invalid(&field.key(key), value, why);
        }
    }
}

/// A label selector.
pub fn label_selector(check: &mut Check<'_>, selector: &LabelSelector, field: &Field<'_>) {
    labels(check, selector.match_labels.as_ref(), &field.key("matchLabels"));
    let expressions = field.key("matchExpressions");
    for (i, requirement) in selector.match_expressions.iter().flatten().enumerate() {
        let field = expressions.index(i);
        if let Err(why) = qualified_name(&requirement.key) {
            check.invalid(&field.key("key"), &requirement.key, why);
        }
        let values = requirement.values.as_deref().unwrap_or(&[]);
        match requirement.operator.as_str() {
            "In" | "NotIn" if values.is_empty() => {
                check.missing(&field.key("values"), "operator In or NotIn needs some")
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                check.invalid(&field.key("values"), "values", "none with operator Exists or DoesNotExist");
            }
            operator => {
                check.one_of(&field.key("operator"), operator, &["In", "NotIn", "Exists", "DoesNotExist"])
            }
        }
        for value in values {
            if let Err(why) = label_value(value) {
                check.invalid(&field.key("values"), value, why);
            }
        }
    }
}

/// Does a valid selector match?
pub fn matches(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    selector.match_labels.iter().flatten().all(|(k, v)| labels.get(k) == Some(v))
        && selector.match_expressions.iter().flatten().all(|r| {
            let value = labels.get(&r.key);
            let listed = value.is_some_and(|v| r.values.iter().flatten().any(|x| x == v));
            match r.operator.as_str() {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => true,
            }
        })
}

/// A node selector: of a PV, or required by a pod.
pub fn node_selector(check: &mut Check<'_>, selector: &NodeSelector, field: &Field<'_>) {
    let terms = field.key("nodeSelectorTerms");
    if selector.node_selector_terms.is_empty() {
        check.missing(&terms, "at least one term");
    }
    for (i, term) in selector.node_selector_terms.iter().enumerate() {
        let field = terms.index(i);
        node_term(check, term.match_expressions.as_deref(), term.match_fields.as_deref(), &field);
    }
}

/// One term of a node selector.
pub fn node_term(
    check: &mut Check<'_>,
    expressions: Option<&[NodeSelectorRequirement]>,
    fields: Option<&[NodeSelectorRequirement]>,
    field: &Field<'_>,
) {
    let expressions_field = field.key("matchExpressions");
    for (i, requirement) in expressions.unwrap_or(&[]).iter().enumerate() {
        node_requirement(check, requirement, &expressions_field.index(i));
    }
    let fields_field = field.key("matchFields");
    for (i, requirement) in fields.unwrap_or(&[]).iter().enumerate() {
        let field = fields_field.index(i);
        check.one_of(&field.key("key"), &requirement.key, &["metadata.name"]);
        check.one_of(&field.key("operator"), &requirement.operator, &["In", "NotIn"]);
        if requirement.values.as_ref().is_none_or(|v| v.len() != 1) {
            check.missing(&field.key("values"), "exactly one");
        }
    }
}

fn node_requirement(check: &mut Check<'_>, requirement: &NodeSelectorRequirement, field: &Field<'_>) {
    let values = requirement.values.as_deref().unwrap_or(&[]);
    if let Err(why) = qualified_name(&requirement.key) {
        check.invalid(&field.key("key"), &requirement.key, why);
    }
    match requirement.operator.as_str() {
        "In" | "NotIn" if values.is_empty() => {
            check.missing(&field.key("values"), "operator In or NotIn needs some")
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            check.invalid(&field.key("values"), "values", "none with operator Exists or DoesNotExist");
        }
        "Gt" | "Lt" if values.len() != 1 => {
            check.missing(&field.key("values"), "operator Gt or Lt needs exactly one")
        }
        operator => {
            check.one_of(
                &field.key("operator"),
                operator,
                &["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"],
            );
        }
    }
    for value in values {
        if let Err(why) = label_value(value) {
            check.invalid(&field.key("values"), value, why);
        }
    }
}
