//! The contract, described to clients that do not have it: reflection v1, and v1alpha for older
//! grpcurl. The error details are among what is described, so that such clients can show them.

use tonic::codec::CompressionEncoding::Gzip;
use tonic::service::Routes;
use tonic_reflection::pb;
use tonic_reflection::server::{Builder, Error};

use crate::config::ServeConfig;
use crate::proto;

const DESCRIPTIONS: [&[u8]; 5] = [
    proto::FILE_DESCRIPTOR_SET,
    tonic_types::pb::FILE_DESCRIPTOR_SET,
    tonic_health::pb::FILE_DESCRIPTOR_SET,
    pb::v1::FILE_DESCRIPTOR_SET,
    pb::v1alpha::FILE_DESCRIPTOR_SET,
];

/// Adds both versions.
pub(crate) fn add(routes: Routes, config: &ServeConfig) -> Result<Routes, Error> {
    let (most_in, most_out) = (config.limits.max_message_bytes, config.limits.max_reply_bytes);
    let mut v1 = builder()
        .build_v1()?
        .max_decoding_message_size(most_in)
        .max_encoding_message_size(most_out);
    let mut v1alpha = builder()
        .build_v1alpha()?
        .max_decoding_message_size(most_in)
        .max_encoding_message_size(most_out);
    if config.gzip {
        v1 = v1.accept_compressed(Gzip).send_compressed(Gzip);
        v1alpha = v1alpha.accept_compressed(Gzip).send_compressed(Gzip);
    }
    Ok(routes.add_service(v1).add_service(v1alpha))
}

fn builder() -> Builder<'static> {
    let builder = Builder::configure().include_reflection_service(false);
    DESCRIPTIONS.into_iter().fold(builder, Builder::register_encoded_file_descriptor_set)
}
