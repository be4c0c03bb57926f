//! One agent's spool on a real disk.
