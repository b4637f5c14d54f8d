//! `eso-relay init`: declares the streams and durables.
