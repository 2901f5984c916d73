//! Links with other routers: NTCP2 sessions, queues, dialling.
