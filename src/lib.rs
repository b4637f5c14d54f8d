//! The library of both daemons of eso-relay.
//!
//! ```text
//! store ──webhook──▶ ingress ──CloudEvents batch──▶ NATS JetStream ──▶ consumer ──patch──▶ ExternalSecret
//!                       └──────────── this library: event, streams, configuration, lifecycle ────────────┘
//! ```
//!
//! Nothing here knows Kubernetes or a provider's webhook format.

pub mod admin;
pub mod certificate;
#[cfg(feature = "cli")]
pub mod command;
pub mod config;
pub mod event;
pub mod lifecycle;
pub mod metrics;
pub mod nats;
pub mod requests;
pub mod slug;
pub mod stream;
pub mod telemetry;
pub mod traceparent;
pub mod tracestate;

pub use event::Event;
pub use slug::Slug;
