//! What holds for every provider.
