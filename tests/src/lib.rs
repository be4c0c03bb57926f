//! The harness: real programs, started in folders of their own, and real clients against them.
//!
//! Promises: everything listens on loopback or on unix sockets, with ports that the system
//! chose; whatever was started is ended by its id when its value is dropped. What is asserted is
//! left to the suites.
