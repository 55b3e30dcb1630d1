//! The few things used last, by key. For so few that a walk over them is the fastest search.

/// At most so many values; the one that was not used for longest goes first.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    max_entries: usize,
    /// The one used last stands last.
    entries: Vec<(K, V)>,
}

impl<K: PartialEq, V> Recent<K, V> {
    /// Room for `max_entries`.
    pub(crate) fn new(max_entries: usize) -> Self {
        Self { max_entries, entries: Vec::new() }
    }

    /// The value under a key, which is thereby used.
    pub(crate) fn get(&mut self, key: &K) -> Option<&V> {
        let entry = self.take(key)?;
        self.entries.push(entry);
        self.entries.last().map(|(_, value)| value)
    }

    /// Takes a value in, and returns the one that had to go.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let same = self.take(&key);
        let evicted = if same.is_none() && self.entries.len() >= self.max_entries {
            self.entries.drain(..1).next()
        } else {
            same
        };
        self.entries.push((key, value));
        evicted.map(|(_, old)| old)
    }

    /// Forgets a key.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        self.take(key).map(|(_, value)| value)
    }

    fn take(&mut self, key: &K) -> Option<(K, V)> {
        let position = self.entries.iter().position(|(k, _)| k == key)?;
        Some(self.entries.remove(position))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_not_used_for_longest_goes_first() {
        let mut recent = Recent::new(2);
        assert_eq!(recent.insert("a", 1), None);
        assert_eq!(recent.insert("b", 2), None);
        assert_eq!(recent.get(&"a"), Some(&1));
        assert_eq!(recent.insert("c", 3), Some(2));
        assert_eq!(recent.get(&"a"), Some(&1));
        assert_eq!(recent.get(&"b"), None);
    }

    #[test]
    fn a_key_has_one_value() {
        let mut recent = Recent::new(2);
        recent.insert("a", 1);
        assert_eq!(recent.insert("a", 2), Some(1));
        assert_eq!(recent.remove(&"a"), Some(2));
        assert_eq!(recent.remove(&"a"), None);
    }
}
