//! The always-on half of Binnacle: agents dial it, consoles attach to it.
