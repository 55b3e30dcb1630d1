//! The things used last, by key, within a number and a size. For so few that a walk over them is the
//! fastest search.

/// At most so many values, of at most so many bytes together; those that were not used for longest go
/// first. The value that came last stays, whatever its size.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    max_entries: usize,
    max_bytes: u64,
    /// The one used last stands last.
    entries: Vec<Entry<K, V>>,
}

#[derive(Debug)]
struct Entry<K, V> {
    key: K,
    value: V,
    n_bytes: u64,
}

impl<K: PartialEq, V> Recent<K, V> {
    /// Room for `max_entries` of any size.
    pub(crate) fn new(max_entries: usize) -> Self {
        Self { max_entries, max_bytes: u64::MAX, entries: Vec::new() }
    }

    /// Room for no more than so many bytes.
    pub(crate) fn with_max_bytes(self, max_bytes: u64) -> Self {
        Self { max_bytes, ..self }
    }

    /// The value under a key, which is thereby used.
    pub(crate) fn get(&mut self, key: &K) -> Option<&V> {
        let entry = self.take(key)?;
        self.entries.push(entry);
        self.entries.last().map(|entry| &entry.value)
    }

    /// Takes in a value whose size does not count.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.insert_sized(key, value, 0);
    }

    /// Takes in a value of a size, and returns those that had to go.
    pub(crate) fn insert_sized(&mut self, key: K, value: V, n_bytes: u64) -> Vec<V> {
        let mut gone: Vec<_> = self.take(&key).into_iter().collect();
        self.entries.push(Entry { key, value, n_bytes });
        while self.entries.len() > 1 && self.is_over_full() {
            gone.push(self.entries.remove(0));
        }
        gone.into_iter().map(|entry| entry.value).collect()
    }

    /// Forgets a key.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        self.take(key).map(|entry| entry.value)
    }

    /// The keys, the one used last at the end.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.entries.iter().map(|entry| &entry.key)
    }

    fn is_over_full(&self) -> bool {
        let n_bytes = self.entries.iter().fold(0, |sum: u64, e| sum.saturating_add(e.n_bytes));
        self.entries.len() > self.max_entries || n_bytes > self.max_bytes
    }

    fn take(&mut self, key: &K) -> Option<Entry<K, V>> {
        let position = self.entries.iter().position(|entry| entry.key == *key)?;
        Some(self.entries.remove(position))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_not_used_for_longest_goes_first() {
        let mut recent = Recent::new(2);
        assert_eq!(recent.insert_sized("a", 1, 9), [0; 0]);
        assert_eq!(recent.insert_sized("b", 2, 9), [0; 0]);
        assert_eq!(recent.get(&"a"), Some(&1));
        assert_eq!(recent.insert_sized("c", 3, 9), [2]);
        assert_eq!(recent.get(&"a"), Some(&1));
        assert_eq!(recent.get(&"b"), None);
    }

    #[test]
    fn as_many_go_as_the_size_asks_for_but_the_last_one_stays() {
        let mut recent = Recent::new(9).with_max_bytes(10);
        for (key, value) in [("a", 1), ("b", 2), ("c", 3)] {
            assert_eq!(recent.insert_sized(key, value, 3), [0; 0]);
        }
        assert_eq!(recent.insert_sized("d", 4, 6), [1, 2]);
        assert_eq!(recent.keys().copied().collect::<Vec<_>>(), ["c", "d"]);
        assert_eq!(recent.insert_sized("e", 5, 11), [3, 4]);
        assert_eq!(recent.get(&"e"), Some(&5));
    }

    #[test]
    fn a_key_has_one_value() {
        let mut recent = Recent::new(2);
        recent.insert("a", 1);
        assert_eq!(recent.insert_sized("a", 2, 0), [1]);
        assert_eq!(recent.remove(&"a"), Some(2));
        assert_eq!(recent.remove(&"a"), None);
    }
}
