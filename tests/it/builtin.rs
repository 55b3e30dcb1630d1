//! The model the program carries.

use dictum::builtin;
use dictum::store::format;

#[test]
fn the_built_in_file_is_what_training_gives() {
    let trained = format::encode(&builtin::train().unwrap()).unwrap();
    assert!(trained == builtin::FILE, "run `cargo run --release --example builtin`");
}
