//! For tests only: fresh directories, running programs, sample messages.
