//! The contract of `proto/`, compiled.
#![allow(clippy::all, clippy::pedantic, clippy::restriction, reason = "generated code")]

tonic::include_proto!("dictum.v1");

/// The contract's descriptors, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/dictum.v1.bin"));
