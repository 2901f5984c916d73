//! What is where on the appliance's disk, which of its two systems is started, and what a file
//! looks like that replaces one of them. Used by what builds images and by what runs on them.
//!
//! Pure: bytes in, values out, and back. Reading and writing is its users' business.

pub mod bundle;
pub mod key;
pub mod parts;
pub mod state;
pub mod version;
