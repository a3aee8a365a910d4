//! Claims whose binding is not complete, by class and in order of arrival.

use crate::model::ids::{ClaimId, Id};
use crate::model::names::Sym;
use std::collections::BTreeMap;

/// The claims, and where each of them is.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    classes: BTreeMap<Sym, Claims>,
    /// By claim: its class, and its place there.
    places: Vec<Option<(Sym, u32)>>,
}

/// The claims of one class. Who goes leaves a gap; the gaps are closed when they are the most of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Claims {
    order: Vec<Option<ClaimId>>,
    live: usize,
}

/// Shorter lists keep their gaps.
const SHORT: usize = 64;

impl Claims {
    /// All of them, in order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = ClaimId> + '_ {
        self.order.iter().flatten().copied()
    }
}

impl Waiting {
    /// No claim waits.
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }
    /// Does any claim of the class wait?
    pub fn any_of(&self, class: Sym) -> bool {
        self.classes.contains_key(&class)
    }
    /// The claims of a class, if any wait.
    pub fn of(&self, class: Sym) -> Option<&Claims> {
        self.classes.get(&class)
    }
    /// All classes of which claims wait.
    pub fn classes(&self) -> impl Iterator<Item = (Sym, &Claims)> {
        self.classes.iter().map(|(class, claims)| (*class, claims))
    }
    /// The class as whose claim this one waits.
    pub fn class_of(&self, claim: ClaimId) -> Option<Sym> {
        self.places.get(claim.index())?.map(|(class, _)| class)
    }
    /// A claim that does not wait yet comes last in its class.
    pub fn insert(&mut self, claim: ClaimId, class: Sym) {
        let claims = self.classes.entry(class).or_default();
        if self.places.len() <= claim.index() {
            self.places.resize(claim.index() + 1, None);
        }
        self.places[claim.index()] = Some((class, claims.order.len() as u32));
        claims.order.push(Some(claim));
        claims.live += 1;
    }
    /// A claim waits no more.
    pub fn remove(&mut self, claim: ClaimId) {
        let Some((class, place)) = self.places.get_mut(claim.index()).and_then(Option::take) else { return };
        let Some(claims) = self.classes.get_mut(&class) else { return };
        claims.order[place as usize] = None;
        claims.live -= 1;
        if claims.live == 0 {
            self.classes.remove(&class);
        } else if claims.order.len() > SHORT && claims.order.len() > 2 * claims.live {
            claims.order.retain(Option::is_some);
            for (place, claim) in claims.order.iter().flatten().enumerate() {
                self.places[claim.index()] = Some((class, place as u32));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::names::sym;

    #[test]
    fn claims_stay_in_order_whoever_goes() {
        let mut waiting = Waiting::default();
        let claim = ClaimId::at;
        for row in 0..200 {
            waiting.insert(claim(row), if row % 10 == 0 { sym::RACK } else { sym::ZONE });
        }
        for row in (0..150).chain([151, 151, 300]) {
            waiting.remove(claim(row));
        }
        waiting.insert(claim(7), sym::ZONE);
        let rows = |waiting: &Waiting, class| -> Vec<u32> {
            waiting.of(class).into_iter().flat_map(Claims::iter).map(ClaimId::row).collect()
        };
        let stay = (152..200).filter(|row| row % 10 != 0).chain([7]);
        assert_eq!(rows(&waiting, sym::ZONE), stay.collect::<Vec<_>>());
        assert_eq!(rows(&waiting, sym::RACK), [150, 160, 170, 180, 190]);
        assert!(waiting.classes[&sym::ZONE].order.len() < 64 + 50, "gaps are closed");
        for row in [150, 160, 170, 180, 190] {
            waiting.remove(claim(row));
        }
        assert!(!waiting.any_of(sym::RACK) && waiting.any_of(sym::ZONE));
        assert_eq!((waiting.class_of(claim(7)), waiting.class_of(claim(150))), (Some(sym::ZONE), None));
    }
}
