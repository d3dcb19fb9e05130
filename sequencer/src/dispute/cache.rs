//! Things that are large and made with effort, kept as long as there is room.

use std::collections::HashMap;
use std::hash::Hash;

/// Values of at most so many bytes together; the one that was not asked for the longest gives way. The
/// newest one is kept whatever its size: it is in use.
#[derive(Debug)]
pub struct Cache<K, V> {
    most: u64,
    bytes: u64,
    /// Counts what was asked for.
    time: u64,
    kept: HashMap<K, Kept<V>>,
}

#[derive(Debug)]
struct Kept<V> {
    value: V,
    bytes: u64,
    asked: u64,
}

impl<K: Hash + Eq + Clone, V: Clone> Cache<K, V> {
    /// Room for `most` bytes.
    pub fn new(most: u64) -> Self {
        Self {
            most,
            bytes: 0,
            time: 0,
            kept: HashMap::new(),
        }
    }

    /// What is kept under `key`.
    pub fn get(&mut self, key: &K) -> Option<V> {
        self.time += 1;
        let kept = self.kept.get_mut(key)?;
        kept.asked = self.time;
        Some(kept.value.clone())
    }

    /// Keeps a value of so many bytes.
    pub fn insert(&mut self, key: K, value: V, bytes: u64) {
        self.remove(&key);
        while self.bytes.saturating_add(bytes) > self.most {
            let oldest = self.kept.iter().min_by_key(|(_, kept)| kept.asked);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
                break;
            };
            self.remove(&oldest);
        }
        self.time += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        let asked = self.time;
        self.kept.insert(
            key,
            Kept {
                value,
                bytes,
                asked,
            },
        );
    }

    fn remove(&mut self, key: &K) {
        if let Some(kept) = self.kept.remove(key) {
            self.bytes -= kept.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_asked_for_the_longest_gives_way() {
        let mut cache = Cache::new(10);
        cache.insert('a', 1, 4);
        cache.insert('b', 2, 4);
        assert_eq!(cache.get(&'a'), Some(1));
        cache.insert('c', 3, 4);
        assert_eq!(cache.get(&'b'), None);
        assert_eq!((cache.get(&'a'), cache.get(&'c')), (Some(1), Some(3)));
        // Another one in its place counts once.
        cache.insert('c', 4, 6);
        assert_eq!((cache.get(&'a'), cache.get(&'c')), (Some(1), Some(4)));
        assert_eq!(cache.bytes, 10);
        // One that is too large is alone.
        cache.insert('d', 5, 100);
        assert_eq!((cache.kept.len(), cache.get(&'d')), (1, Some(5)));
        cache.insert('e', 6, 1);
        assert_eq!((cache.kept.len(), cache.bytes), (1, 1));
    }
}
