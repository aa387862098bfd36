//! A slab: values with stable numbers.

/// Values by number. The number of a removed value is reused.
pub(super) struct Slab<T> {
    places: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    pub(super) fn new() -> Slab<T> {
        Slab { places: Vec::new(), free: Vec::new() }
    }

    pub(super) fn insert(&mut self, thing: T) -> u32 {
        if let Some(place) = self.free.pop() {
            self.places[place as usize] = Some(thing);
            return place;
        }
        self.places.push(Some(thing));
        self.places.len() as u32 - 1
    }

    pub(super) fn get(&self, place: u32) -> Option<&T> {
        self.places.get(place as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, place: u32) -> Option<&mut T> {
        self.places.get_mut(place as usize)?.as_mut()
    }

    pub(super) fn remove(&mut self, place: u32) -> Option<T> {
        let thing = self.places.get_mut(place as usize)?.take()?;
        self.free.push(place);
        Some(thing)
    }

    /// Takes a value out temporarily, and keeps its number reserved. The caller must put it back.
    pub(super) fn take_out(&mut self, place: u32) -> Option<T> {
        self.places.get_mut(place as usize)?.take()
    }

    pub(super) fn put_back(&mut self, place: u32, thing: T) {
        self.places[place as usize] = Some(thing);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.places.iter().enumerate().filter_map(|(place, thing)| Some((place as u32, thing.as_ref()?)))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.places.iter_mut().flatten()
    }

    /// Removes and returns all values.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = T> {
        self.free.clear();
        self.places.drain(..).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reuses_only_free_numbers() {
        let mut slab = Slab::new();
        assert_eq!(["a", "b", "c"].map(|thing| slab.insert(thing)), [0, 1, 2]);
        assert_eq!((slab.remove(1), slab.remove(1), slab.remove(3)), (Some("b"), None, None));
        assert_eq!((slab.get(1), slab.get(2)), (None, Some(&"c")));
        assert_eq!(["d", "e"].map(|thing| slab.insert(thing)), [1, 3]);
        assert_eq!(slab.drain().collect::<Vec<_>>(), ["a", "d", "c", "e"]);
        assert_eq!((slab.iter().count(), slab.insert("f")), (0, 0));
    }
}
