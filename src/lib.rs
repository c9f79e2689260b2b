//! optoggles keeps feature flags in step with authorization policy.
//!
//! It is a program, and this library is its inside: the modules stand in reading order, and use only
//! what stands above or beside them. `ARCHITECTURE.md` tells how they work together.

pub mod address;
pub mod config;
pub mod secret;
