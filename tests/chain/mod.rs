//! All programs together, as a hospital runs them: from a sender's MLLP to CareVue.

mod demo;
mod hours;
mod kills;
mod support;
