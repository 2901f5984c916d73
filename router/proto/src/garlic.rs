//! Garlic encryption: ratchet sessions, one-time replies, messages to routers.
