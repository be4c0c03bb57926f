//! `binnacle demo`: being written.
