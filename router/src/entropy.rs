//! The only reader of the operating system's randomness.

use ramson_proto::rng::Rng;

/// A generator seeded by the operating system.
///
/// # Errors
/// The operating system has none to give.
pub fn rng() -> std::io::Result<Rng> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(std::io::Error::other)?;
    Ok(Rng::from_seed(seed))
}
