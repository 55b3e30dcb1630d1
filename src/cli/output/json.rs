//! Messages of the contract as JSON, by the JSON mapping of Protocol Buffers: fields by the names they
//! have in the proto, enumerations by name, times in RFC 3339. Fields without presence are always
//! there; numbers of 64 bits are numbers and not strings.

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};
use serde::{Serialize, Serializer, ser::Error};

use crate::proto;

const OPTIONS: SerializeOptions = SerializeOptions::new()
    .use_proto_field_name(true)
    .skip_default_fields(false)
    .stringify_64_bit_integers(false);

static POOL: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).ok());

/// A message that serialises as its JSON.
#[derive(Debug)]
pub(in crate::cli) struct Json<'a, M>(pub(in crate::cli) &'a M);

/// A message with the name it has in the contract.
pub(in crate::cli) trait Named: Message {
    /// The name, without the package.
    const NAME: &'static str;
}

macro_rules! named {
    ($($message:ident)*) => {
        $(impl Named for proto::$message {
            const NAME: &'static str = stringify!($message);
        })*
    };
}

named! {
    ActivateModelResponse Classification DeleteModelResponse EvaluateModelResponse ItemError Model
    ModelVersion TrainModelResponse
}

impl<M: Named> Serialize for Json<'_, M> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let descriptor = descriptor(M::NAME).ok_or_else(|| S::Error::custom("no descriptor"))?;
        let mut message = DynamicMessage::new(descriptor);
        message.transcode_from(self.0).map_err(S::Error::custom)?;
        message.serialize_with_options(serializer, &OPTIONS)
    }
}

fn descriptor(name: &str) -> Option<MessageDescriptor> {
    POOL.as_ref()?.get_message_by_name(&format!("dictum.v1.{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_the_names_of_the_proto_and_numbers_are_numbers() {
        let model = proto::Model {
            model_version: Some(proto::ModelVersion { name: "mine".to_owned(), version: 3 }),
            create_time: Some(prost_types::Timestamp { seconds: 0, nanos: 0 }),
            settings: Some(proto::ChosenSettings {
                weighting: proto::Weighting::Idf.into(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let json = serde_json::to_value(Json(&model)).expect("it is a message of the contract");
        let at = |path: &str| json.pointer(path).cloned().unwrap_or_default();
        assert_eq!(at("/model_version/version"), 3);
        assert_eq!(at("/create_time"), "1970-01-01T00:00:00Z");
        assert_eq!(at("/settings/weighting"), "WEIGHTING_IDF");
        assert_eq!(at("/active"), false, "without presence, so it is there");
        assert_eq!(json.get("evaluation"), None, "with presence, and not set");
    }

    #[test]
    fn every_message_that_is_printed_is_in_the_contract() {
        fn assert_known<M: Named>() {
            assert!(descriptor(M::NAME).is_some(), "{}", M::NAME);
        }
        assert_known::<proto::ActivateModelResponse>();
        assert_known::<proto::Classification>();
        assert_known::<proto::DeleteModelResponse>();
        assert_known::<proto::EvaluateModelResponse>();
        assert_known::<proto::ItemError>();
        assert_known::<proto::Model>();
        assert_known::<proto::ModelVersion>();
        assert_known::<proto::TrainModelResponse>();
    }
}
