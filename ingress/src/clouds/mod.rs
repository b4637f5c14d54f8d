//! The host names of each cloud's parts (public, governments', China's, Europe's), one table for each vendor, out
//! of the vendor's own list.

pub(crate) mod amazon;
pub(crate) mod microsoft;
pub(crate) mod oracle;
