//! Does the steps of steps.py with tonic: `tonic-client ADDRESS GZIP [CA [CERTIFICATE KEY]]`, steps as JSON on
//! stdin, `[code, replies]` of each on stdout.

#![allow(clippy::print_stdout, reason = "a program of its own")]

use std::error::Error;
use std::fs;
use std::io;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use serde_json::{Value, json};
use tokio_stream::iter;
use tonic::client::Grpc;
use tonic::codec::{
    BufferSettings, Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder,
};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [address, gzip, files @ ..] = args.as_slice() else { return Err("see above".into()) };
    let mut client = Grpc::new(connect(address, files).await?).max_decoding_message_size(64 << 20);
    if gzip == "gzip" {
        client = client
            .send_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Gzip);
    }
    let pool = pool()?;
    let steps: Vec<(String, Vec<Value>)> = serde_json::from_reader(io::stdin())?;
    let mut results = Vec::new();
    for (path, requests) in steps {
        let method = method(&pool, &path)?;
        let messages: Vec<_> = requests
            .into_iter()
            .map(
                |request| Ok(DynamicMessage::deserialize(method.input(), request)?.encode_to_vec()),
            )
            .collect::<Result<_>>()?;
        let (code, replies) = match call(&mut client, &path, messages, &method).await {
            Ok(replies) => (0, replies),
            Err(status) => (status.code() as i32, Vec::new()),
        };
        results.push(json!([code, shown(&method, replies)?]));
    }
    println!("{}", Value::from(results));
    Ok(())
}

async fn connect(address: &str, files: &[String]) -> Result<Channel> {
    let [ca, shown @ ..] = files else {
        return Ok(Endpoint::from_shared(format!("http://{address}"))?.connect().await?);
    };
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(fs::read(ca)?));
    if let [certificate, key] = shown {
        tls = tls.identity(Identity::from_pem(fs::read(certificate)?, fs::read(key)?));
    }
    Ok(Endpoint::from_shared(format!("https://{address}"))?.tls_config(tls)?.connect().await?)
}

/// The contract, and health beside it.
fn pool() -> Result<DescriptorPool> {
    let mut pool = DescriptorPool::decode(dictum::proto::FILE_DESCRIPTOR_SET)?;
    pool.decode_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)?;
    Ok(pool)
}

fn method(pool: &DescriptorPool, path: &str) -> Result<MethodDescriptor> {
    let (service, name) = path.trim_start_matches('/').split_once('/').ok_or("no path")?;
    let service = pool.get_service_by_name(service).ok_or("no service")?;
    let found = service.methods().find(|method| method.name() == name);
    Ok(found.ok_or("no method")?)
}

async fn call(
    client: &mut Grpc<Channel>,
    path: &str,
    messages: Vec<Vec<u8>>,
    method: &MethodDescriptor,
) -> std::result::Result<Vec<Vec<u8>>, Status> {
    client.ready().await.map_err(|error| Status::unknown(error.to_string()))?;
    let path_and_query = path.parse().map_err(|_no_path| Status::internal("no path"))?;
    let requests = Request::new(iter(messages));
    let mut stream = client.streaming(requests, path_and_query, Bytes).await?.into_inner();
    let mut replies = Vec::new();
    while let Some(reply) = stream.message().await? {
        replies.push(reply);
        // A watch has no end of its own.
        if method.name() == "Watch" {
            break;
        }
    }
    Ok(replies)
}

/// Replies as JSON with the contract's own names.
fn shown(method: &MethodDescriptor, replies: Vec<Vec<u8>>) -> Result<Vec<Value>> {
    let names = prost_reflect::SerializeOptions::new().use_proto_field_name(true);
    let show = |bytes: Vec<u8>| {
        let reply = DynamicMessage::decode(method.output(), bytes.as_slice())?;
        Ok(reply.serialize_with_options(serde_json::value::Serializer, &names)?)
    };
    replies.into_iter().map(show).collect()
}

/// Messages as they are on the wire.
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(
        &mut self,
        item: Vec<u8>,
        buffer: &mut EncodeBuf<'_>,
    ) -> std::result::Result<(), Status> {
        bytes::BufMut::put_slice(buffer, &item);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(
        &mut self,
        buffer: &mut DecodeBuf<'_>,
    ) -> std::result::Result<Option<Vec<u8>>, Status> {
        let mut item = vec![0; bytes::Buf::remaining(buffer)];
        bytes::Buf::copy_to_slice(buffer, &mut item);
        Ok(Some(item))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}
