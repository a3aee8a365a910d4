//! A list that mostly has one element: then it needs no memory of its own.

use std::ops::Deref;

/// One element or more.
#[derive(Clone, Debug)]
pub enum Few<T> {
    /// One.
    One(T),
    /// Any number. Boxed, because a vector of three words would be what one element costs.
    #[allow(clippy::box_collection)]
    Many(Box<Vec<T>>),
}

impl<T: Copy + PartialEq> Few<T> {
    /// All elements.
    pub fn as_slice(&self) -> &[T] {
        match self {
            Few::One(one) => std::slice::from_ref(one),
            Few::Many(many) => many,
        }
    }
    /// Appends an element.
    pub fn push(&mut self, element: T) {
        match self {
            Few::One(one) => *self = Few::Many(Box::new(vec![*one, element])),
            Few::Many(many) => many.push(element),
        }
    }
    /// Takes out every element equal to `element`; true if none is left.
    #[must_use]
    pub fn forget(&mut self, element: T) -> bool {
        match self {
            Few::One(one) => *one == element,
            Few::Many(many) => {
                many.retain(|e| *e != element);
                many.is_empty()
            }
        }
    }
}

/// A list that mostly is empty: then it takes one word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MostlyEmpty<T>(#[allow(clippy::box_collection)] Option<Box<Vec<T>>>);

impl<T> Default for MostlyEmpty<T> {
    fn default() -> Self {
        MostlyEmpty(None)
    }
}

impl<T> Deref for MostlyEmpty<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }
}

impl<T: PartialEq> MostlyEmpty<T> {
    /// Appends an element.
    pub fn push(&mut self, element: T) {
        self.0.get_or_insert_default().push(element);
    }
    /// Takes out every element equal to `element`.
    pub fn forget(&mut self, element: &T) {
        if let Some(list) = &mut self.0 {
            list.retain(|e| e != element);
            if list.is_empty() {
                self.0 = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Few, MostlyEmpty};

    #[test]
    fn empty_lists_are_equal_and_small() {
        let mut list = MostlyEmpty::default();
        assert_eq!((list.len(), size_of_val(&list)), (0, 8));
        list.push(3);
        list.push(1);
        list.push(3);
        list.forget(&7);
        assert_eq!(*list, [3, 1, 3]);
        list.forget(&3);
        list.forget(&1);
        assert_eq!(list, MostlyEmpty::default());
    }

    #[test]
    fn few_keep_their_order() {
        let mut few = Few::One(3);
        assert_eq!(few.as_slice(), [3]);
        assert!(!few.forget(4));
        few.push(1);
        few.push(3);
        assert_eq!(few.as_slice(), [3, 1, 3]);
        assert!(!few.forget(3));
        assert_eq!(few.as_slice(), [1]);
        assert!(few.forget(1));
        assert!(Few::One(3).forget(3));
    }
}
