//! The integration tests, in one binary.
#![expect(
    clippy::unwrap_used,
    reason = "a test says what failed; its helper functions too"
)]

mod acceptance;
mod balancers;
mod chart;
mod cli;
mod conditions;
mod connection;
mod consuming;
mod credentials;
mod deploy;
mod docs;
mod durability;
mod failing;
mod faults;
mod formats;
mod gap;
mod hostile;
mod https;
mod jwt;
mod kes;
mod late;
mod limits;
mod link;
mod manifests;
mod matching;
mod metrics;
mod monitoring;
mod namespaced;
mod nats;
mod notes;
mod observe;
mod operator;
mod outage;
mod parked;
mod paths;
mod pipeline;
mod poison;
mod polling;
mod pushing;
mod real;
mod redrive;
mod rejection;
mod relogin;
mod replay;
mod replicas;
mod restart;
mod secrecy;
mod seed;
mod senders;
mod settle;
mod stored;
mod stream;
mod templates;
mod tls;
mod trace;
mod traces;
mod two_step;
mod v1beta1;
mod watch_list;
mod webhook_stores;
