//! Trains the built-in model on its CSV and writes it where the program takes it from. Run it after
//! every change to the CSV or to training.

use std::error::Error;
use std::fs;

fn main() -> Result<(), Box<dyn Error>> {
    let model = dictum::builtin::train()?;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/models/news-statements/model.safetensors");
    fs::write(path, dictum::store::format::encode(&model)?)?;
    Ok(())
}
