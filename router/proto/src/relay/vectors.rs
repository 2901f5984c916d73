//! Reads recorded conversations for tests (`tests/vectors/i2pd`).

use serde_json::Value;

/// A file by its name without the ending.
pub fn load(name: &str) -> Value {
    let path = format!(
        "{}/../../tests/vectors/i2pd/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The bytes of a hexadecimal field.
pub fn bytes(v: &Value) -> Vec<u8> {
    hex::decode(v.as_str().unwrap()).unwrap()
}

/// The same with a known length.
pub fn array<const N: usize>(v: &Value) -> [u8; N] {
    bytes(v).try_into().unwrap()
}

/// A number of four bytes.
pub fn number(v: &Value) -> u32 {
    v.as_u64().unwrap().try_into().unwrap()
}

/// The entries of a list.
pub fn list(v: &Value) -> &[Value] {
    v.as_array().unwrap()
}
