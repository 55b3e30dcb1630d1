//! The command as it is typed: the real program, each time in a process of its own.

mod classify;
mod command;
mod gate;
mod models;
#[cfg(feature = "object-storage")]
mod object_storage;
mod planted;
mod report;
mod security;
mod serve;
mod signatures;
mod train;
mod usage;
