//! A store by its URL, with the environment's settings and our limits.

use std::{sync::Arc, time::Duration};

use object_store::{
    BackoffConfig, ClientConfigKey, ObjectStore, Result, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    azure::{AzureConfigKey, MicrosoftAzureBuilder},
    gcp::{GoogleCloudStorageBuilder, GoogleConfigKey},
};

/// Longest wait for a connection, and for the next bytes on one.
const CONNECT_LIMIT: &str = "3s";
const READ_LIMIT: &str = "15s";
/// Longest request; each call has a limit of its own.
const REQUEST_LIMIT: &str = "12h";
/// How often a request that failed on the way is repeated, and how long after the first.
const RETRIES: RetryConfig = RetryConfig {
    backoff: BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(1),
        base: 2.0,
    },
    max_retries: 3,
    retry_timeout: Duration::from_secs(5),
};

/// Makes a store of the environment's settings and our limits.
pub(super) fn store(scheme: &str, bucket: &str) -> Result<Arc<dyn ObjectStore>> {
    let url = format!("{scheme}://{bucket}");
    let limits = [
        (ClientConfigKey::ConnectTimeout, CONNECT_LIMIT),
        (ClientConfigKey::ReadTimeout, READ_LIMIT),
        (ClientConfigKey::Timeout, REQUEST_LIMIT),
    ];
    match scheme {
        "s3" => {
            let builder = AmazonS3Builder::from_env().with_url(url).with_retry(RETRIES);
            let limited = limits.into_iter().fold(builder, |builder, (key, limit)| {
                builder.with_config(AmazonS3ConfigKey::Client(key), limit)
            });
            Ok(Arc::new(limited.build()?))
        }
        "gs" => {
            let builder = GoogleCloudStorageBuilder::from_env().with_url(url).with_retry(RETRIES);
            let limited = limits.into_iter().fold(builder, |builder, (key, limit)| {
                builder.with_config(GoogleConfigKey::Client(key), limit)
            });
            Ok(Arc::new(limited.build()?))
        }
        _ => {
            let builder = MicrosoftAzureBuilder::from_env().with_url(url).with_retry(RETRIES);
            let limited = limits.into_iter().fold(builder, |builder, (key, limit)| {
                builder.with_config(AzureConfigKey::Client(key), limit)
            });
            Ok(Arc::new(limited.build()?))
        }
    }
}
