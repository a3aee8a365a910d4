//! Labels, label selectors and node selectors, interned and precompiled.

use super::names::{Names, Sym, sym};

/// Labels of an object, sorted by key symbol.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct LabelSet(Box<[(Sym, Sym)]>);

impl LabelSet {
    /// From pairs in any order; of equal keys the last one stays.
    pub fn new(mut pairs: Vec<(Sym, Sym)>) -> LabelSet {
        pairs.reverse();
        pairs.sort_by_key(|(key, _)| *key); // stable: the last given comes first among equals
        pairs.dedup_by_key(|(key, _)| *key);
        LabelSet(pairs.into())
    }
    /// The value of `key`.
    pub fn get(&self, key: Sym) -> Option<Sym> {
        self.0.binary_search_by_key(&key, |(k, _)| *k).ok().map(|i| self.0[i].1)
    }
    /// All pairs, by key symbol.
    pub fn iter(&self) -> impl Iterator<Item = (Sym, Sym)> + '_ {
        self.0.iter().copied()
    }
    /// With one more or changed pair.
    pub fn with(&self, key: Sym, value: Sym) -> LabelSet {
        LabelSet::new(self.iter().chain([(key, value)]).collect())
    }
}

/// Operator of a [`LabelSelector`] requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LabelOperator {
    /// The label is there and its value is in the list.
    In,
    /// The label is missing or its value is not in the list.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is missing.
    DoesNotExist,
}

/// One requirement of a [`LabelSelector`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LabelRequirement {
    /// Label key.
    pub key: Sym,
    /// How its value is judged.
    pub operator: LabelOperator,
    /// Values, sorted.
    pub values: Box<[Sym]>,
}

/// `metav1.LabelSelector`, all requirements ANDed. A nil selector matches nothing, an empty one everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum LabelSelector {
    /// Nil: matches nothing.
    #[default]
    Nothing,
    /// Matches what meets all requirements; none: everything.
    Requirements(Box<[LabelRequirement]>),
}

impl LabelSelector {
    /// The selector that matches everything.
    pub fn everything() -> LabelSelector {
        LabelSelector::Requirements(Box::default())
    }
    /// Does an object with these labels match?
    pub fn matches(&self, labels: &LabelSet) -> bool {
        match self {
            LabelSelector::Nothing => false,
            LabelSelector::Requirements(all) => all.iter().all(|r| r.matches(labels.get(r.key))),
        }
    }
    /// Matches everything because it requires nothing.
    pub fn is_everything(&self) -> bool {
        matches!(self, LabelSelector::Requirements(all) if all.is_empty())
    }
}

impl LabelRequirement {
    fn matches(&self, value: Option<Sym>) -> bool {
        match (self.operator, value) {
            (LabelOperator::In, Some(v)) => self.values.contains(&v),
            (LabelOperator::In, None) => false,
            (LabelOperator::NotIn, Some(v)) => !self.values.contains(&v),
            (LabelOperator::NotIn, None) => true,
            (LabelOperator::Exists, v) => v.is_some(),
            (LabelOperator::DoesNotExist, v) => v.is_none(),
        }
    }
}

/// Operator of a node selector requirement (`v1.NodeSelectorOperator`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NodeOperator {
    /// Present and in the list.
    In,
    /// Missing or not in the list.
    NotIn,
    /// Present.
    Exists,
    /// Missing.
    DoesNotExist,
    /// Present, an integer, and greater than the one value.
    Gt,
    /// Present, an integer, and less than the one value.
    Lt,
}

/// One requirement of a node selector term, on a label or on the field `metadata.name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NodeRequirement {
    /// Label key or field name.
    pub key: Sym,
    /// How its value is judged.
    pub operator: NodeOperator,
    /// Values as written.
    pub values: Box<[Sym]>,
}

/// A node selector term: label expressions and field requirements, ANDed. An empty term matches nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct NodeSelectorTerm {
    /// `matchExpressions`.
    pub expressions: Box<[NodeRequirement]>,
    /// `matchFields`.
    pub fields: Box<[NodeRequirement]>,
}

/// `v1.NodeSelector`: terms ORed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct NodeSelector {
    /// The terms; none matches nothing.
    pub terms: Box<[NodeSelectorTerm]>,
}

impl NodeRequirement {
    /// Is the requirement well formed as `labels.NewRequirement` sees it? One that is not makes its term match nothing (required)
    /// or fails the cycle (preferred).
    pub fn is_valid(&self, names: &Names) -> bool {
        match self.operator {
            NodeOperator::In | NodeOperator::NotIn => {
                !self.values.is_empty() && self.values.iter().all(|v| is_label_value(names.text(*v)))
            }
            NodeOperator::Exists | NodeOperator::DoesNotExist => self.values.is_empty(),
            NodeOperator::Gt | NodeOperator::Lt => {
                let value = self.values.first().map_or("", |v| names.text(*v));
                self.values.len() == 1 && parse_int64(value).is_some() && is_label_value(value)
            }
        }
    }
    /// Is it well formed as a requirement on a field: In or NotIn with one value?
    pub fn is_valid_field(&self) -> bool {
        matches!(self.operator, NodeOperator::In | NodeOperator::NotIn) && self.values.len() == 1
    }
    /// Does a label with this value (or no such label) meet the requirement?
    pub fn matches(&self, value: Option<Sym>, names: &Names) -> bool {
        match (self.operator, value) {
            (NodeOperator::In, Some(v)) => self.values.contains(&v),
            (NodeOperator::In, None) => false,
            (NodeOperator::NotIn, v) => v.is_none_or(|v| !self.values.contains(&v)),
            (NodeOperator::Exists, v) => v.is_some(),
            (NodeOperator::DoesNotExist, v) => v.is_none(),
            (NodeOperator::Gt | NodeOperator::Lt, None) => false,
            (NodeOperator::Gt | NodeOperator::Lt, Some(v)) => {
                let bound = self.values.first().and_then(|b| parse_int64(names.text(*b)));
                match (parse_int64(names.text(v)), bound) {
                    (Some(v), Some(bound)) if self.operator == NodeOperator::Gt => v > bound,
                    (Some(v), Some(bound)) => v < bound,
                    _ => false,
                }
            }
        }
    }
}

impl NodeSelectorTerm {
    /// Nothing is required: such a term matches no node.
    pub fn is_empty(&self) -> bool {
        self.expressions.is_empty() && self.fields.is_empty()
    }
    /// Are all requirements well formed?
    pub fn is_well_formed(&self, names: &Names) -> bool {
        self.expressions.iter().all(|r| r.is_valid(names))
            && self.fields.iter().all(NodeRequirement::is_valid_field)
    }
    /// Does a node with these labels match, if nothing is known about its fields? This is how volumes' node affinity is judged
    /// (`CheckNodeAffinity` passes labels only): field requirements are then ignored unless they are malformed.
    pub fn matches_labels(&self, labels: &LabelSet, names: &Names) -> bool {
        !self.is_empty()
            && self.expressions.iter().all(|r| r.is_valid(names) && r.matches(labels.get(r.key), names))
            && self.fields.iter().all(NodeRequirement::is_valid_field)
    }
    /// Does the node match all requirements? False for an empty or malformed term.
    pub fn matches(&self, node_name: Sym, labels: &LabelSet, names: &Names) -> bool {
        !self.is_empty()
            && self.expressions.iter().all(|r| r.is_valid(names) && r.matches(labels.get(r.key), names))
            && self.fields.iter().all(|r| {
                r.key == sym::METADATA_NAME && r.is_valid_field() && r.matches(Some(node_name), names)
            })
    }
}

impl NodeSelector {
    /// `kubernetes.io/hostname In [host]`: what ties a local volume to its node.
    pub fn of_host(host: Sym) -> NodeSelector {
        let requirement =
            NodeRequirement { key: sym::HOSTNAME, operator: NodeOperator::In, values: Box::new([host]) };
        let term = NodeSelectorTerm { expressions: Box::new([requirement]), fields: Box::default() };
        NodeSelector { terms: Box::new([term]) }
    }
    /// Does any term match a node of which only the labels are known?
    pub fn matches_labels(&self, labels: &LabelSet, names: &Names) -> bool {
        self.terms.iter().any(|term| term.matches_labels(labels, names))
    }
    /// Does any term match the node?
    pub fn matches(&self, node_name: Sym, labels: &LabelSet, names: &Names) -> bool {
        self.terms.iter().any(|term| term.matches(node_name, labels, names))
    }
}

/// A valid label value: empty, or up to 63 of letters, digits, `-`, `_` and `.`, with a letter or digit at both ends.
pub fn is_label_value(text: &str) -> bool {
    let bytes = text.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    bytes.len() <= 63
        && ends.into_iter().flatten().all(u8::is_ascii_alphanumeric)
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// Go's `strconv.ParseInt(text, 10, 64)`: `007` is 7, `+5` is 5; no spaces, fractions or exponents.
pub fn parse_int64(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requirement(names: &mut Names, operator: NodeOperator, values: &[&str]) -> NodeRequirement {
        NodeRequirement {
            key: names.intern("gen"),
            operator,
            values: values.iter().map(|v| names.intern(v)).collect(),
        }
    }

    #[test]
    fn node_requirements() {
        use NodeOperator::{DoesNotExist, Exists, Gt, In, Lt, NotIn};
        let names = &mut Names::default();
        for (operator, values, label, want) in [
            (In, &["a", "b"][..], Some("b"), true),
            (In, &["a"], None, false),
            (In, &[""], None, false),
            (NotIn, &["a"], None, true),
            (NotIn, &["a"], Some("a"), false),
            (Exists, &[], Some(""), true),
            (DoesNotExist, &[], Some(""), false),
            (Gt, &["6"], Some("007"), true),
            (Gt, &["7"], Some("007"), false),
            (Lt, &["8"], Some("7.5"), false),
            (Lt, &["8"], Some("1e3"), false),
            (Gt, &["x"], Some("7"), false),
            (Gt, &["-5"], Some("7"), false), // no label value, so not well formed
            (Lt, &["+9"], Some("7"), false),
            (NotIn, &["no value!"], Some("a"), false),
            (NotIn, &["-a"], None, false),
            (In, &["a.b_c-9"], Some("a.b_c-9"), true),
            (Gt, &["0"], Some("9223372036854775808"), false),
        ] {
            let r = requirement(names, operator, values);
            let value = label.map(|l| names.intern(l));
            let labels = LabelSet::new(value.map(|v| (r.key, v)).into_iter().collect());
            let term = NodeSelectorTerm { expressions: Box::new([r]), fields: Box::default() };
            assert_eq!(term.matches(sym::EMPTY, &labels, names), want, "{operator:?} {values:?} {label:?}");
        }
        assert!(!NodeSelectorTerm::default().matches(sym::EMPTY, &LabelSet::default(), names), "empty term");
        assert!(!NodeSelector::default().matches(sym::EMPTY, &LabelSet::default(), names), "no terms");
    }

    /// What a term is worth does not depend on which of its requirements is malformed.
    #[test]
    fn one_malformed_requirement_spoils_a_term() {
        let names = &mut Names::default();
        let good = requirement(names, NodeOperator::In, &["a"]);
        let bad = requirement(names, NodeOperator::In, &["no value!"]);
        let field = |names: &mut Names, key: &str, operator| NodeRequirement {
            key: names.intern(key),
            ..requirement(names, operator, &["n"])
        };
        let named = field(names, "metadata.name", NodeOperator::In);
        let unknown = field(names, "metadata.uid", NodeOperator::In);
        let exists = field(names, "metadata.name", NodeOperator::Exists);
        let labels = LabelSet::new(vec![(good.key, names.intern("a"))]);
        let n = names.intern("n");
        // Expressions, fields; is it well formed, and does it match if fields are known? Only the name is one.
        for (expressions, fields, good, matches) in [
            (vec![&good], vec![], true, true),
            (vec![&good], vec![&named], true, true),
            (vec![], vec![&named], true, true),
            (vec![&bad], vec![], false, false),
            (vec![&good, &bad], vec![], false, false),
            (vec![&bad, &good], vec![&named], false, false),
            (vec![&good], vec![&unknown], true, false),
            (vec![&good], vec![&named, &exists], false, false),
            (vec![], vec![&exists], false, false),
        ] {
            let all = |list: &[&NodeRequirement]| list.iter().map(|r| (*r).clone()).collect();
            let term = NodeSelectorTerm { expressions: all(&expressions), fields: all(&fields) };
            assert_eq!(term.is_well_formed(names), good, "{term:?}");
            assert_eq!(term.matches(n, &labels, names), matches, "{term:?}");
            assert_eq!(term.matches_labels(&labels, names), good, "{term:?}");
        }
    }

    #[test]
    fn nil_selects_nothing_and_empty_everything() {
        let labels = LabelSet::default();
        assert!(!LabelSelector::Nothing.matches(&labels));
        assert!(LabelSelector::everything().matches(&labels));
    }

    #[test]
    fn the_last_of_equal_keys_wins() {
        let labels = LabelSet::new(vec![(sym::CPU, sym::PODS), (sym::CPU, sym::MEMORY)]);
        assert_eq!(labels.get(sym::CPU), Some(sym::MEMORY));
        assert_eq!(labels.with(sym::CPU, sym::ZONE).get(sym::CPU), Some(sym::ZONE));
    }
}
