//! How values are written in a settings file, and their ranges.

use std::time::Duration;

use std::num::NonZeroUsize;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::store::Retention;

const MAX_SECONDS: f64 = 86_400.0;
const SECONDS_OF_A_DAY: f64 = 86_400.0;

/// A time in days, from 0 to 36,500.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Days(Duration);

/// The number is none, or out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a number of days from 0 to 36500")]
pub struct DaysError;

impl Days {
    /// The time.
    #[must_use]
    pub fn time(self) -> Duration {
        self.0
    }
}

impl TryFrom<f64> for Days {
    type Error = DaysError;

    fn try_from(days: f64) -> Result<Self, DaysError> {
        if !(0.0..=36_500.0).contains(&days) {
            return Err(DaysError);
        }
        Duration::try_from_secs_f64(days * SECONDS_OF_A_DAY)
            .map(Self)
            .map_err(|_too_long| DaysError)
    }
}

impl From<Days> for f64 {
    fn from(days: Days) -> Self {
        days.0.as_secs_f64() / SECONDS_OF_A_DAY
    }
}

impl FromStr for Days {
    type Err = DaysError;

    fn from_str(text: &str) -> Result<Self, DaysError> {
        text.parse::<f64>().map_err(|_not_a_number| DaysError)?.try_into()
    }
}

/// Which versions are kept.
pub(super) mod retention {
    use super::{Days, Deserialize, Deserializer, NonZeroUsize, Retention, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Written {
        keep_versions: Option<NonZeroUsize>,
        keep_days: Option<Days>,
    }

    pub(in crate::config) fn deserialize<'de, D>(deserializer: D) -> Result<Retention, D::Error>
    where
        D: Deserializer<'de>,
    {
        let Written { keep_versions, keep_days } = Written::deserialize(deserializer)?;
        Ok(Retention {
            keep_versions: keep_versions.map(NonZeroUsize::get),
            keep_age: keep_days.map(Days::time),
        })
    }

    pub(in crate::config) fn serialize<S>(
        retention: &Retention,
        serializer: S,
    ) -> Result<S::Ok, S::Error>
    where
        S: Serializer,
    {
        let keep_versions = retention.keep_versions.and_then(NonZeroUsize::new);
        Written { keep_versions, keep_days: retention.keep_age.map(Days) }.serialize(serializer)
    }
}

/// Reads a limit on a message, from 1 KiB to 1 GiB.
pub(super) fn message_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let bytes = i64::deserialize(deserializer)?;
    match usize::try_from(bytes) {
        Ok(bytes @ 1_024..=1_073_741_824) => Ok(bytes),
        Ok(_) | Err(_) => {
            Err(D::Error::custom("expected a number of bytes from 1024 to 1073741824"))
        }
    }
}

/// Reads the memory of a job, from 16 MiB to 1 TiB.
pub(super) fn job_memory_bytes<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<u64, D::Error> {
    let bytes = i64::deserialize(deserializer)?;
    match u64::try_from(bytes) {
        Ok(bytes @ 16_777_216..=1_099_511_627_776) => Ok(bytes),
        Ok(_) | Err(_) => {
            Err(D::Error::custom("expected a number of bytes from 16777216 to 1099511627776"))
        }
    }
}

/// A time in seconds that may be none at all.
pub(super) mod pause {
    use super::{Deserialize, Deserializer, Duration, Error, MAX_SECONDS};

    pub(in crate::config) use super::seconds::serialize;

    pub(in crate::config) fn deserialize<'de, D>(deserializer: D) -> Result<Duration, D::Error>
    where
        D: Deserializer<'de>,
    {
        let seconds = f64::deserialize(deserializer)?;
        match Duration::try_from_secs_f64(seconds) {
            Ok(time) if seconds <= MAX_SECONDS => Ok(time),
            Ok(_) | Err(_) => Err(D::Error::custom("expected a number of seconds from 0 to 86400")),
        }
    }
}

/// An address, or `off`.
pub(super) mod address_or_off {
    use std::net::SocketAddr;

    use super::{Deserialize, Deserializer, Error, Serializer};

    pub(in crate::config) fn deserialize<'de, D>(
        deserializer: D,
    ) -> Result<Option<SocketAddr>, D::Error>
    where
        D: Deserializer<'de>,
    {
        match String::deserialize(deserializer)?.as_str() {
            "off" => Ok(None),
            address => address
                .parse()
                .map(Some)
                .map_err(|_no_address| D::Error::custom("expected an address with a port, or off")),
        }
    }

    pub(in crate::config) fn serialize<S>(
        address: &Option<SocketAddr>,
        serializer: S,
    ) -> Result<S::Ok, S::Error>
    where
        S: Serializer,
    {
        match address {
            Some(address) => serializer.collect_str(address),
            None => serializer.serialize_str("off"),
        }
    }
}

/// A time in seconds, from a millisecond to a day.
pub(super) mod seconds {
    use super::{Deserialize, Deserializer, Duration, Error, MAX_SECONDS, Serializer};

    pub(in crate::config) fn deserialize<'de, D>(deserializer: D) -> Result<Duration, D::Error>
    where
        D: Deserializer<'de>,
    {
        let seconds = f64::deserialize(deserializer)?;
        match Duration::try_from_secs_f64(seconds) {
            Ok(time) if (0.001..=MAX_SECONDS).contains(&seconds) => Ok(time),
            Ok(_) | Err(_) => {
                Err(D::Error::custom("expected a number of seconds from 0.001 to 86400"))
            }
        }
    }

    pub(in crate::config) fn serialize<S>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error>
    where
        S: Serializer,
    {
        if time.subsec_nanos() == 0 {
            serializer.serialize_u64(time.as_secs())
        } else {
            serializer.serialize_f64(time.as_secs_f64())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_finite_and_not_negative() {
        assert_eq!("1.5".parse(), Ok(Days(Duration::from_secs(36 * 3_600))));
        assert_eq!("0".parse(), Ok(Days(Duration::ZERO)));
        for bad in ["-1", "36501", "NaN", "inf", "x", ""] {
            assert_eq!(bad.parse::<Days>(), Err(DaysError), "{bad:?}");
        }
    }
}
