mod every_scheme;
mod hmac;
pub(super) mod kit;
mod passwords;
mod settings;
mod several;
mod standard_webhooks;
mod uses;

use super::*;
