//! The network database: values, lookups, publishing, floodfill duty.
