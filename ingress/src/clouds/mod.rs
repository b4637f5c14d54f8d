//! The host names of each vendor's clouds (public, government, China, Europe), from the vendor's own lists.

pub(crate) mod amazon;
pub(crate) mod microsoft;
pub(crate) mod oracle;
