//! Values with small ids, so that a posting takes four bytes for an object instead of a pointer.

/// The ids of removed values are used again.
#[derive(Debug)]
pub(super) struct Slab<T> {
    slots: Vec<Option<T>>,
    free: Vec<u32>,
}

/// Not derived: values need no default.
impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    pub(super) fn insert(&mut self, value: T) -> u32 {
        if let Some(id) = self.free.pop() {
            self.slots[id as usize] = Some(value);
            return id;
        }
        // OK because memory ends long before 2³² objects.
        let id = u32::try_from(self.slots.len()).expect("fewer than 2^32 objects");
        self.slots.push(Some(value));
        id
    }

    pub(super) fn remove(&mut self, id: u32) -> Option<T> {
        let value = self.slots.get_mut(id as usize)?.take();
        if value.is_some() {
            self.free.push(id);
        }
        value
    }

    pub(super) fn get(&self, id: u32) -> Option<&T> {
        self.slots.get(id as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        self.slots.get_mut(id as usize)?.as_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.slots(0).filter_map(|(id, value)| Some((id, value?)))
    }

    /// Every slot from this id on; `None` where its value was removed.
    pub(super) fn slots(&self, from: u32) -> impl Iterator<Item = (u32, Option<&T>)> {
        let slots = self.slots.iter().skip(from as usize);
        (from..).zip(slots.map(Option::as_ref))
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_number_is_given_out_again() {
        let mut slab = Slab::default();
        let (a, b) = (slab.insert('a'), slab.insert('b'));
        assert_eq!(slab.remove(a), Some('a'));
        assert_eq!((slab.remove(a), slab.len()), (None, 1));
        let c = slab.insert('c');
        assert_eq!(c, a);
        assert_eq!(slab.iter().collect::<Vec<_>>(), [(c, &'c'), (b, &'b')]);
    }
}
