//! The router as a value: owns the subsystems, takes inputs, is polled for outputs.

pub mod input;
pub mod output;
