//! The server as its clients see it: a real one on a port of its own, called by a real client.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::string_slice,
    reason = "a test says what it expects, and fails where it is not so"
)]

mod architecture;
mod auth;
mod bad_input;
mod builtin;
mod certificates;
mod classify;
mod cli;
mod connections;
mod errors;
mod format;
mod health;
mod limits;
mod metrics;
mod models;
mod overload;
mod raw;
mod reflection;
mod shutdown;
mod signatures;
mod support;
mod text;
mod tls;
mod traces;
mod train;
mod uploads;
