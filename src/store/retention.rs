//! Which versions of a model are kept.

use std::time::{Duration, SystemTime};

use super::VersionInfo;

/// How many versions are kept, and how long. A version is kept as long as one of the two says so;
/// with neither, all are. The newest, the active and the previously active version are always kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// Keeps this many of the newest versions.
    pub keep_versions: Option<usize>,
    /// Keeps versions that are not older than this.
    pub keep_age: Option<Duration>,
}

impl Retention {
    /// Returns which of the versions, given in ascending order, need not be kept.
    pub(super) fn surplus(
        &self,
        versions: &[VersionInfo],
        previous: Option<u64>,
        now: SystemTime,
    ) -> Vec<u64> {
        if *self == Self::default() {
            return Vec::new();
        }
        let is_recent = |created: SystemTime| {
            // A version from the future, by a clock that was wrong, has no age yet.
            let age = now.duration_since(created).unwrap_or_default();
            self.keep_age.is_some_and(|keep_age| age <= keep_age)
        };
        let n_newest = self.keep_versions.unwrap_or_default().max(1);
        let older = versions.iter().rev().skip(n_newest);
        older
            .filter(|v| !v.active && Some(v.version) != previous && !is_recent(v.created))
            .map(|v| v.version)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    /// Versions 1 to 6, made 5 to 0 hours ago; 2 is active and 1 was before.
    fn surplus(keep_versions: Option<usize>, keep_age: Option<Duration>) -> Vec<u64> {
        let now = SystemTime::UNIX_EPOCH + HOUR * 1000;
        let versions: Vec<_> = (1..=6)
            .map(|version| VersionInfo {
                version: u64::from(version),
                active: version == 2,
                size_bytes: 1,
                created: now - HOUR * (6 - version),
            })
            .collect();
        Retention { keep_versions, keep_age }.surplus(&versions, Some(1), now)
    }

    #[test]
    fn everything_is_kept_unless_something_is_set() {
        assert_eq!(surplus(None, None), [0_u64; 0]);
    }

    #[test]
    fn the_newest_the_active_and_the_previous_are_always_kept() {
        assert_eq!(surplus(Some(0), None), [5, 4, 3]);
        assert_eq!(surplus(None, Some(Duration::ZERO)), [5, 4, 3]);
    }

    #[test]
    fn the_wanted_number_of_newest_versions_is_kept() {
        assert_eq!(surplus(Some(3), None), [3]);
        assert_eq!(surplus(Some(100), None), [0_u64; 0]);
    }

    #[test]
    fn a_version_is_kept_by_either_rule() {
        assert_eq!(surplus(Some(1), Some(HOUR)), [4, 3]);
        assert_eq!(surplus(Some(3), Some(HOUR)), [3]);
    }
}
