//! Where traces go.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use serde::{Deserialize, Serialize};

/// Where traces go, and which.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TraceConfig {
    /// The collector that takes them over OTLP (gRPC); `None`: nothing is traced. Default: none.
    pub otlp_endpoint: Option<CollectorUrl>,
    /// Share of the calls that are traced, [0, 1]; of those that continue a trace their caller decides.
    /// Default: 1.
    pub trace_share: Share,
}

impl Default for TraceConfig {
    fn default() -> Self {
        Self { otlp_endpoint: None, trace_share: Share(1.0) }
    }
}

/// Address of a collector, such as `http://127.0.0.1:4317`; `https` for TLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CollectorUrl(Uri);

/// The text is no address of a collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected http://HOST:PORT or https://HOST:PORT, without a path or a password")]
pub struct CollectorUrlError;

impl CollectorUrl {
    /// The address.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.0
    }

    /// Whether it is reached over TLS.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }
}

impl FromStr for CollectorUrl {
    type Err = CollectorUrlError;

    fn from_str(text: &str) -> Result<Self, CollectorUrlError> {
        let uri: Uri = text.parse().map_err(|_no_uri| CollectorUrlError)?;
        let is_known = matches!(uri.scheme_str(), Some("http" | "https"));
        let is_bare = uri.path_and_query().is_none_or(|rest| rest.as_str() == "/");
        // The settings in force are shown; a password among them would be too.
        let is_plain = uri.authority().is_some_and(|host| !host.as_str().contains('@'));
        if is_known && is_bare && is_plain { Ok(Self(uri)) } else { Err(CollectorUrlError) }
    }
}

impl TryFrom<String> for CollectorUrl {
    type Error = CollectorUrlError;

    fn try_from(text: String) -> Result<Self, CollectorUrlError> {
        text.parse()
    }
}

impl fmt::Display for CollectorUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl From<CollectorUrl> for String {
    fn from(url: CollectorUrl) -> Self {
        url.to_string().trim_end_matches('/').to_owned()
    }
}

/// A share, [0, 1].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Share(f64);

/// The number is no share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a number from 0 to 1")]
pub struct ShareError;

impl TryFrom<f64> for Share {
    type Error = ShareError;

    fn try_from(share: f64) -> Result<Self, ShareError> {
        if (0.0..=1.0).contains(&share) { Ok(Self(share)) } else { Err(ShareError) }
    }
}

impl From<Share> for f64 {
    fn from(share: Share) -> Self {
        share.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_a_host_and_a_port() {
        for good in ["http://127.0.0.1:4317", "https://otel.example", "http://[::1]:4317/"] {
            let url: CollectorUrl = good.parse().expect("an address");
            assert_eq!(String::from(url), good.trim_end_matches('/'));
        }
        for bad in
            ["", "otel:4317", "grpc://otel:4317", "http://", "http://otel/v1", "http://a:b@otel"]
        {
            assert_eq!(bad.parse::<CollectorUrl>(), Err(CollectorUrlError), "{bad:?}");
        }
    }

    #[test]
    fn a_share_is_from_none_to_all() {
        assert_eq!(Share::try_from(0.25), Ok(Share(0.25)));
        for bad in [-0.1, 1.1, f64::NAN] {
            assert_eq!(Share::try_from(bad), Err(ShareError));
        }
    }
}
