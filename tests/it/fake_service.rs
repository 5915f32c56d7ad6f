//! Filled in by the concern of this name.
