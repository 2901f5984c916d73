//! Names of destinations: the address book and base32.
