//! Lower layer protocols: how a message crosses a line.
