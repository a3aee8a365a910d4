//! A list that mostly has one element: then it needs no memory of its own.

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

#[cfg(test)]
mod tests {
    use super::Few;

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
