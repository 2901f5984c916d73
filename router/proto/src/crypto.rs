//! One narrow file per primitive.
